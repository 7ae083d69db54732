//! What is lent in ranges, and what is left of the log once it was answered: one head office and a box near it.

use super::*;

#[test]
fn is_a_shop_lent_another_range_and_is_what_a_seal_left_over_lent_again() {
    let now = UnixMs(0);
    let mut near = Near::new(false);
    near.till.is_numbered = true;
    assert_eq!((near.ask(100, now), near.exchange(now)), (Served::Yes, 1));
    near.till.spend(4 * 100, now);
    near.read_all();
    assert_eq!((near.ask(60, now), near.exchange(now)), (Served::Yes, 2), "the one used up is sealed");
    let ranges = |near: &Near| -> Vec<_> {
        near.till.open().map(|slice| (slice.first, slice.amount, slice.used)).collect()
    };
    assert_eq!(ranges(&near), [(Some(101), 60, 0)]);
    near.till.spend(4 * 10, now);
    near.read_all();
    near.lender.hello(&store(2), Epoch(1), now);
    let wants = |need| vec![Want { scope: series(), left: 0, need }];
    let ask = |number, need| Ask {
        v: PROTOCOL,
        epoch: Epoch(1),
        incarnation: 1,
        number,
        as_of: Seq(0),
        wants: wants(need),
    };
    near.lender.ask(&store(2), &ask(1, 20), now, &|_| None);
    near.lender.seal(&store(1), Epoch(1), &series());
    near.exchange(now);
    near.lender.ask(&store(2), &ask(2, 60), now, &|_| None);
    let said = near.lender.lanes[&store(2)][&Epoch(1)].pending.iter().map(|pending| pending.word.say.clone());
    let firsts: Vec<_> = said
        .filter_map(|say| match say {
            Say::Grant { first, amount, .. } => Some((first, amount)),
            _ => None,
        })
        .collect();
    assert_eq!(firsts, [(Some(161), 20), (Some(111), 40)], "what is behind, and what came back");
    assert!(near.lender.check().is_empty());
    near.lender.write_off(&store(2), Epoch(1));
    near.ask(1_000, now);
    near.exchange(now);
    assert_eq!(ranges(&near)[0].0, Some(181), "what a lost box holds is nobody else's");
    near.lender.drain(&PromotionId::new("next").expect("an id"));
    near.lender.tick(now);
    near.exchange(now);
    assert_eq!(ranges(&near), [], "called back with the promotion its numbers set off");
}

#[test]
fn is_a_log_shorter_once_its_words_are_answered_and_does_a_journal_that_was_cut_stop_all_lending() {
    let now = UnixMs(0);
    let mut near = Near::new(false);
    let mut log = Vec::new();
    for round in 1..=20 {
        near.ask(20 * round, now);
        log.extend(near.lender.take_records());
        near.exchange(now);
        near.till.spend(20, now);
        near.read_all();
    }
    near.ask(500, now);
    log.extend(near.lender.take_records());
    let shorter = near.lender.fold(log.clone());
    let words = |log: &[Record]| log.iter().filter(|record| matches!(record, Record::Word { .. })).count();
    assert!(words(&log) > 20 && words(&shorter) == 1, "{} and {}", words(&log), words(&shorter));
    assert_eq!(near.lender.fold(shorter.clone()), shorter);
    let again = |through: usize| {
        let mut lender = Lender::new(1, false);
        assert!(shorter.iter().all(|record| lender.replay(record)));
        for (seq, told) in (1..).zip(&near.till.journal[..through]) {
            replay_entry(&mut lender, &(store(1), Epoch(1), seq), told);
            lender.line(&store(1), Epoch(1), Seq(seq), true);
        }
        lender.replayed();
        lender.set_terms(Some(terms()));
        lender
    };
    let whole = again(near.till.journal.len());
    assert!(near.lender.is_told_by(&whole) && essence(&whole) == essence(&near.lender));
    assert_eq!(whole.sums, near.lender.sums);
    let mut cut = again(3);
    let wants = vec![Want { scope: scope(), left: 0, need: 50 }];
    let ask = Ask { v: PROTOCOL, epoch: Epoch(1), incarnation: 1, number: 1, as_of: Seq(0), wants };
    cut.hello(&store(2), Epoch(1), now);
    cut.ask(&store(2), &ask, now, &|_| None);
    assert_eq!(
        cut.lane(&store(2), Epoch(1)).map(|lane| lane.lends(&scope())),
        Some(0),
        "what is out is not known"
    );
    for (seq, told) in (1..).zip(&near.till.journal).skip(3) {
        replay_entry(&mut cut, &(store(1), Epoch(1), seq), told);
        cut.line(&store(1), Epoch(1), Seq(seq), true);
    }
    cut.ask(&store(2), &Ask { number: 2, ..ask }, now, &|_| None);
    assert_eq!(cut.lane(&store(2), Epoch(1)).map(|lane| lane.lends(&scope())), Some(50));
}
