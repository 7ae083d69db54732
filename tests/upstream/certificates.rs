//! Is the line to head office believed only with the right certificates on both ends, and is what is wrong named as what it is.

use std::sync::Arc;

use aisled::clock::{Clock, ManualClock, SystemClock};
use aisled::domain::calendar::UnixMs;
use aisled::domain::code::Code;
use aisled::gate::tls::{self, Own};
use aisled::hub::server::{Hub, HubConfig, HubTls, Running};
use aisled::upstream::link::{self, UpstreamConfig};
use aisled::upstream::machine::Trouble;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::{Journal, Shop, anywhere, clock, store};

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "the chain's authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("it is made")
}

/// Chain and key, in PEM, good from one year to the first day of another.
fn issued(
    by: &Authority,
    name: &str,
    (from, until): (i32, i32),
    usage: ExtendedKeyUsagePurpose,
) -> (Vec<u8>, Vec<u8>) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, by).expect("it is made");
    (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
}

pub(crate) const NOW: (i32, i32) = (2020, 3000);

pub(crate) fn server(by: &Authority, name: &str, years: (i32, i32)) -> (Vec<u8>, Vec<u8>) {
    issued(by, name, years, ExtendedKeyUsagePurpose::ServerAuth)
}

pub(crate) fn client(by: &Authority, name: &str, years: (i32, i32)) -> (Vec<u8>, Vec<u8>) {
    issued(by, name, years, ExtendedKeyUsagePurpose::ClientAuth)
}

pub(crate) struct Office {
    pub(crate) running: Running,
    _data: tempfile::TempDir,
}

/// A head office with this certificate, which believes the shops of `authority`.
pub(crate) async fn office((chain, key): (Vec<u8>, Vec<u8>), authority: &Authority) -> Office {
    let data = tempfile::tempdir().expect("a directory");
    let tls = Some(HubTls { chain, key, authority: authority.pem().into_bytes() });
    let config = HubConfig { tls, ..HubConfig::new(anywhere(), data.path().to_owned()) };
    Office { running: Hub::start(config, clock()).await.expect("head office starts"), _data: data }
}

/// A shop that believes `authority` by the clock given, and shows `own`.
async fn shop(
    office: &Office,
    authority: &Authority,
    own: Option<(Vec<u8>, Vec<u8>)>,
    at: Arc<dyn Clock>,
) -> (Shop, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let own = own.map(|(chain, key)| Own::of_pem(&chain, &key).expect("a pair"));
    let tls = tls::client(authority.pem().as_bytes(), own, at).expect("an authority");
    let config = UpstreamConfig {
        store: store(),
        host: "localhost".to_owned(),
        port: office.running.addr().port(),
        login: None,
        tls: Some(Arc::new(tls)),
        dir: dir.path().to_owned(),
    };
    let journal = Journal::default();
    let (upstream, inbox) = link::start(config, journal.clone(), clock(), 7).await.expect("it starts");
    (Shop { journal, upstream, inbox }, dir)
}

fn now() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_what_a_shop_sells_arrive_over_a_line_that_both_ends_believe() {
    let chain = authority();
    let office = office(server(&chain, "localhost", NOW), &chain).await;
    let (shop, _dir) = shop(&office, &chain, Some(client(&chain, "s1", NOW)), now()).await;
    shop.journal.sell(&shop.upstream, 50);
    shop.drained().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_wrong_certificate_named_and_not_called_offline() {
    let (chain, foreign) = (authority(), authority());
    let good = || server(&chain, "localhost", NOW);
    let own = || Some(client(&chain, "s1", NOW));
    let in_1970: Arc<dyn Clock> = Arc::new(ManualClock::new(UnixMs(0)));
    // Of the chain's name, signed by nobody the shop knows; and one whose signature is of another key.
    let forged = {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "the chain's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("it is made")
    };
    for (what, certificate, at, trouble, code) in [
        ("foreign", server(&foreign, "localhost", NOW), now(), Trouble::Tls, Code::HeadOfficeCertificate),
        ("forged", server(&forged, "localhost", NOW), now(), Trouble::Tls, Code::HeadOfficeCertificate),
        (
            "of another name",
            server(&chain, "elsewhere.example", NOW),
            now(),
            Trouble::Name,
            Code::HeadOfficeName,
        ),
        (
            "ended",
            server(&chain, "localhost", (2020, 2021)),
            now(),
            Trouble::Expired,
            Code::HeadOfficeExpired,
        ),
        (
            "not begun",
            server(&chain, "localhost", (2900, 3000)),
            now(),
            Trouble::Clock,
            Code::HeadOfficeClock,
        ),
        ("by a clock of 1970", good(), in_1970, Trouble::Clock, Code::HeadOfficeClock),
    ] {
        let office = office(certificate, &chain).await;
        let (shop, _dir) = shop(&office, &chain, own(), at).await;
        let status = shop.status_when(what, |status| status.last_error.is_some()).await;
        let named = status.last_error.expect("just seen").trouble;
        assert_eq!((named, named.code()), (trouble, code), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_shop_with_a_wrong_certificate_refused_and_told() {
    let (chain, foreign) = (authority(), authority());
    let office = office(server(&chain, "localhost", NOW), &chain).await;
    for (what, own, trouble) in [
        ("none", None, Trouble::Certificate),
        ("foreign", Some(client(&foreign, "s1", NOW)), Trouble::Certificate),
        ("ended", Some(client(&chain, "s1", (2020, 2021))), Trouble::Certificate),
        ("not begun", Some(client(&chain, "s1", (2900, 3000))), Trouble::Certificate),
        ("of another shop", Some(client(&chain, "s2", NOW)), Trouble::Auth),
    ] {
        let (shop, _dir) = shop(&office, &chain, own, now()).await;
        let status = shop.status_when(what, |status| status.last_error.is_some()).await;
        let fault = status.last_error.expect("just seen");
        assert_eq!(fault.trouble, trouble, "{what}: {fault:?}");
    }
}
