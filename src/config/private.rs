//! Files that only the daemon's user may read: identities, keys, the audit log.
//!
//! Invariants: a file is put in place at once and whole, and synced; it has mode 0600 and the owner of its directory, so that
//! what an administrator does as root is read by the daemon.

use std::path::{Path, PathBuf};

/// Takes the lock of whoever changes `file`; it is given back when the answer is dropped.
pub fn lock_beside(file: &Path) -> std::io::Result<std::fs::File> {
    let lock = beside(file, "lock");
    let lock = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(lock)?;
    as_its_directory(&lock, file)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(lock)
}

/// Puts a file in place at once and whole, synced, with mode 0600 and the owner of its directory.
pub fn place(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let draft = beside(file, "new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&draft)?;
    as_its_directory(&written, file)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    std::fs::rename(&draft, file)?;
    std::fs::File::open(parent(file))?.sync_all()
}

/// Gives a file that root wrote to whoever its directory belongs to.
pub fn as_its_directory(written: &std::fs::File, file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let (dir, own) = (std::fs::metadata(parent(file))?, written.metadata()?);
    if rustix::process::geteuid().is_root() && dir.uid() != own.uid() {
        std::os::unix::fs::fchown(written, Some(dir.uid()), Some(dir.gid()))?;
    }
    Ok(())
}

/// A whole file of at most `bytes_max`.
pub fn read(file: &Path, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    super::read_bounded(file, bytes_max)
}

fn parent(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    file.with_file_name(name)
}
