//! A box's line to head office: what the real sender (`upstream::machine`) wants is done here.
//!
//! Frames are the real ones, encoded and decoded. What the sender writes down is synced before a new incarnation is used, as
//! `upstream::files` does; of the rest a power cut may lose the latest.

use std::rc::Rc;

use crate::domain::ids::Seq;
use crate::engine::input::{Input, MembersUpdate};
use crate::engine::{HeadOffice, Outcome};
use crate::limits;
use crate::upstream::backlog::pack;
use crate::upstream::download::Piece;
use crate::upstream::machine::{Action, Now, Trouble};
use crate::upstream::wire::{Down, DownKind, Up, UpKind};

use super::stage::{Event, Stage};
use super::station::{Live, Station};
use super::wrong::Wrong;

/// A sender with nothing to send says hello each minute; here only so often, because nothing else would happen meanwhile.
const QUIET_MS: u64 = 90 * 60_000;
/// Waits of the sender above this are of a quiet line.
const SHORT_WAIT_MS: u64 = 20_000;

/// More looks at the time without time passing are a sender that would take a whole processor.
const HASTE_MAX: u64 = 1_000;

impl Station {
    /// The sender looks at the time, if it asked for this moment.
    pub(super) fn ticked(&mut self, life: u64, stage: &mut Stage<'_>) {
        if life == self.life && self.tick_at.is_some_and(|at| at <= stage.now_ms) {
            self.tick(stage);
        }
    }

    pub(super) fn tick(&mut self, stage: &mut Stage<'_>) {
        self.tick_at = None;
        let Some(live) = &mut self.live else { return };
        let now = stage.clocks(self.off_ms);
        live.machine.set_tally(self.tables.tally().clone());
        live.machine.tick(now);
        live.want(now);
        self.act(stage);
    }

    /// An attempt to connect ends.
    pub(super) fn connected(&mut self, (life, line): (u64, u64), is_there: bool, stage: &mut Stage<'_>) {
        let Some(live) = &mut self.live else { return };
        if life != self.life || line != self.lines {
            return;
        }
        let now = stage.clocks(self.off_ms);
        if is_there && !self.is_parted {
            live.line = line;
            live.machine.set_tally(self.tables.tally().clone());
            live.machine.connected(now);
        } else {
            live.machine.lost(Trouble::Tcp, "no line", now);
        }
        self.act(stage);
    }

    /// The line broke.
    pub(super) fn cut_off(&mut self, stage: &mut Stage<'_>) {
        let Some(live) = &mut self.live else { return };
        live.line = 0;
        live.machine.lost(Trouble::Tcp, "the line broke", stage.clocks(self.off_ms));
        self.act(stage);
    }

    /// A frame of head office arrives.
    pub(super) fn heard(&mut self, line: u64, kind: DownKind, bytes: &[u8], stage: &mut Stage<'_>) {
        let Some(live) = &mut self.live else { return };
        if live.line != line || line == 0 || self.is_parted {
            return;
        }
        let mut frame = match Down::decode(kind, bytes) {
            Ok(frame) => frame,
            Err(error) => {
                stage.judge.accuse("wire", format!("{}: failed to {error}", self.store));
                return;
            }
        };
        if let (true, Down::State(state)) = (stage.is(Wrong::NoRewind), &mut frame) {
            let known = live.machine.remembered();
            if known.incarnation != 0 && state.incarnation > known.incarnation {
                state.standing.applied_through = known.applied_through;
                state.standing.durable_through = known.applied_through;
            }
        }
        if matches!(frame, Down::State(_)) {
            live.engine.head_office_is(HeadOffice::Near);
        }
        live.machine.received(frame, stage.clocks(self.off_ms));
        self.act(stage);
    }

    /// Does what the sender wants, and asks for its next moment.
    pub(super) fn act(&mut self, stage: &mut Stage<'_>) {
        while let Some(action) = self.live.as_mut().and_then(|live| live.machine.poll()) {
            self.act_on(action, stage);
        }
        let Some(live) = &self.live else { return };
        let remembered = live.machine.remembered();
        if remembered.incarnation != self.written.incarnation {
            self.synced = remembered;
        }
        self.written = remembered;
        let Some(due) = live.machine.deadline_ms() else { return };
        self.haste = if due <= stage.now_ms { self.haste + 1 } else { 0 };
        if self.haste > HASTE_MAX {
            let text =
                format!("{}: the sender is never done at {}: {:?}", self.store, stage.now_ms, live.machine);
            stage.judge.accuse("I15", text);
            self.haste = 0;
            self.tick_at = None;
            return;
        }
        let is_quiet = remembered.applied_through.0 + 1 >= live.outbox.reach().next.0;
        let is_long = due > stage.now_ms + SHORT_WAIT_MS;
        let at = match is_quiet && is_long && live.line != 0 {
            true => self.tick_at.filter(|at| *at > stage.now_ms).unwrap_or(stage.now_ms + QUIET_MS),
            false => due.max(stage.now_ms),
        };
        if self.tick_at.is_none_or(|before| at < before || before < stage.now_ms) {
            self.tick_at = Some(at);
            stage.at(at, Event::Tick { of: self.of, life: self.life });
        }
    }

    fn act_on(&mut self, action: Action, stage: &mut Stage<'_>) {
        let Some(live) = &mut self.live else { return };
        let now = stage.clocks(self.off_ms);
        match action {
            Action::Connect => {
                self.lines += 1;
                let wait = 20 + stage.random.below(500);
                stage.after(wait, Event::Connected { of: self.of, life: self.life, line: self.lines });
            }
            Action::Disconnect => {
                live.line = 0;
                live.engine.head_office_is(HeadOffice::DownSince(now.unix));
            }
            Action::Send(up) => {
                let kind = match &up {
                    Up::Hello(hello) => {
                        stage.judge.said_by_box(self.of, hello.incarnation);
                        UpKind::Hello
                    }
                    Up::Batch(_) => UpKind::Batch,
                    Up::Get(_) => UpKind::Get,
                    Up::Ask(_) => UpKind::Ask,
                };
                if live.line == 0 || self.is_parted {
                    return;
                }
                let bytes: Rc<[u8]> = Rc::from(up.encode());
                stage.trace(7, self.of, u64::from(crc32c::crc32c(&bytes)));
                let of = self.of;
                let (loss, office) = (stage.weather.line, stage.office);
                stage.send(loss, || Event::Up { of, office, kind, bytes: bytes.clone() });
            }
            Action::Pack(request) => {
                let packed = pack(&mut live.packer, &mut live.outbox, &request);
                live.machine.packed(request.ticket, packed, now);
            }
            Action::Prune(through) => live.prunable = live.prunable.max(through),
            Action::Members(update) => self.members(&update, stage),
            Action::Words(words) => words.into_iter().for_each(|word| self.hear(Input::Lease(word), stage)),
            Action::Orders(orders) => {
                orders.into_iter().for_each(|word| self.hear(Input::Order(Box::new(word)), stage));
            }
            Action::Bundle(Piece::Complete { version }) => self.install(version, stage),
            Action::Bundle(Piece::Keep { .. } | Piece::Broken { .. }) => {}
        }
    }

    fn hear(&mut self, word: Input, stage: &mut Stage<'_>) {
        // Any other outcome: heard before, or one before it was lost and both come again.
        if let Outcome::Decided(entry) = self.decide(word, stage) {
            self.write(entry, stage);
        }
    }

    fn members(&mut self, update: &MembersUpdate, stage: &mut Stage<'_>) {
        for members in update.members.chunks(limits::MEMBERS_DECISION_MAX) {
            let part = MembersUpdate { members: members.to_vec(), ..update.clone() };
            if let Outcome::Decided(entry) = self.decide(Input::Members(part), stage) {
                self.write(entry, stage);
            }
        }
    }
}

impl Live {
    /// Tells the sender what the engine would like to hold.
    pub(super) fn want(&mut self, now: Now) {
        let wants = self.engine.wants(now.unix);
        if wants != self.wants {
            self.wants.clone_from(&wants);
            let as_of = Seq(self.engine.next_seq().0 - 1);
            self.machine.set_wants(wants, as_of, now);
        }
    }
}
