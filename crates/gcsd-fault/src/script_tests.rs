//! What a plan means for a connection.

use super::plan::{Ending, Plan};
use super::script::{Script, Step};

fn script(text: &str, number: u64) -> Script {
    text.parse::<Plan>().expect("a plan").script(number)
}

/// What happens to the first `len` bytes that are written, moved `most` at a time.
fn history(script: &mut Script, len: u64, most: u64) -> Vec<(u64, String)> {
    let (mut position, mut history) = (0, Vec::new());
    while position < len {
        let (count, over) = match script.write.step() {
            Step::Pass { most: room, .. } => (room.min(most).min(len - position), false),
            Step::Stall(_) => {
                history.push((position, "stall".into()));
                continue;
            }
            Step::Byte { mask, ending } => {
                history.push((position, format!("byte {mask:#x}")));
                (1, ending.is_some())
            }
            Step::End(ending) => {
                history.push((position, format!("before {ending:?}")));
                return history;
            }
        };
        if over {
            return history;
        }
        position += count;
        if let Some(ending) = script.write.passed(count) {
            history.push((position - 1, format!("after {ending:?}")));
            return history;
        }
    }
    history
}

#[test]
fn each_mark_is_met_whatever_the_steps() {
    let plan = "stall write 5 for 1s; stall write 5; flip write 5; flip write 5 mask 0x80; flip write 9; \
                flip write 10; flip write 12 mask 2; reset after write 20";
    let plan = plan.replace("mask 2", "mask 0x02");
    for most in 1..30 {
        let expected = [
            (5, "stall"),
            (5, "stall"),
            (5, "byte 0x81"),
            (9, "byte 0x1"),
            (10, "byte 0x1"),
            (12, "byte 0x2"),
            (20, "after Reset"),
        ];
        let expected: Vec<_> = expected.map(|(at, what)| (at, what.to_owned())).into();
        assert_eq!(history(&mut script(&plan, 0), 100, most), expected);
    }
}

#[test]
fn the_earliest_end_wins() {
    for (plan, expected) in [
        ("reset before write 3; close before write 2", (2, "before Close")),
        ("reset before write 3; close after write 2", (2, "after Close")),
        ("reset in write 3; close before write 3", (3, "before Close")),
        ("reset in write 3; close after write 3", (3, "byte 0x0")),
        (
            "flip write 7; flip write 7; reset before write 9",
            (9, "before Reset"),
        ),
        ("reset after write 0", (0, "after Reset")),
        ("close before write 0", (0, "before Close")),
    ] {
        for most in [1, 2, 100] {
            let met = history(&mut script(plan, 0), 50, most);
            assert_eq!(
                met,
                [(expected.0, expected.1.to_owned())],
                "{plan}, {most} at a time"
            );
        }
    }
    assert_eq!(history(&mut script("reset before write 50", 0), 50, 7), []);
}

#[test]
fn intervals_and_rates_hit_where_they_say() {
    for number in 0..100 {
        let mut within = script("seed 5; flip write 100..120", number);
        let met = history(&mut within, 1000, 64);
        assert!(met.len() == 1 && (100..120).contains(&met[0].0), "{met:?}");

        let mut every = script("seed 5; flip write 1/MiB; stall write 1/MiB for 1s", number);
        let met = history(&mut every, 4 << 20, 1 << 20);
        for mib in 0..4 {
            for what in ["byte 0x1", "stall"] {
                let there = met.iter().filter(|(at, it)| at >> 20 == mib && it == what);
                assert_eq!(there.count(), 1, "{met:?}");
            }
        }
    }
    let hits = |plan: &str, mib: u64| history(&mut script(plan, 0), mib << 20, u64::MAX).len();
    assert!((60..140).contains(&hits("flip write 0.1/MiB", 1000)));
    // Beyond what is drawn ahead, and without a fault for as long.
    assert!((5..50).contains(&hits("flip write 0.001/MiB", 20_000)));
    assert_eq!(hits("flip write 0/MiB", 20_000), 0);
}

#[test]
fn each_connection_has_its_own_fate() {
    let plan: Plan = "seed 3; refuse p 0.3; flip write 0..1GiB p 0.5; hang for 1s on 10..20"
        .parse()
        .expect("a plan");
    let refused = (0..1000).filter(|number| plan.script(*number).refuse).count();
    assert!((250..350).contains(&refused), "{refused}");
    let harmless = (0..1000)
        .filter(|number| plan.script(*number).is_harmless())
        .count();
    assert!((430..570).contains(&harmless), "{harmless}");
    let hung: Vec<u64> = (0..1000)
        .filter(|number| plan.script(*number).hang.is_some())
        .collect();
    assert_eq!(hung, (10..20).collect::<Vec<u64>>());

    let fate = |plan: &Plan, number| {
        let mut script = plan.script(number);
        (script.refuse, history(&mut script, 1 << 30, u64::MAX))
    };
    for number in 0..100 {
        assert_eq!(fate(&plan, number), fate(&plan.clone(), number));
    }
    let other = Plan {
        seed: 4,
        ..plan.clone()
    };
    assert!((0..100).any(|number| fate(&plan, number) != fate(&other, number)));
}

#[test]
fn recorded_seeds_stay_what_they_are() {
    let plan = "seed 20; refuse p 0.2; flip write 0..1000 mask 0x10; reset in write 0..5000 p 0.5; stall write 0.5/MiB";
    let plan: Plan = plan.parse().expect("a plan");
    let refused: Vec<u64> = (0..30).filter(|number| plan.script(*number).refuse).collect();
    assert_eq!(refused, [3, 4, 8, 10, 11, 12, 19, 20, 27, 28]);
    let met = |number| {
        let met = history(&mut plan.script(number), 4 << 20, 1 << 20);
        met.into_iter()
            .map(|(at, what)| format!("{at} {what}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        met(1),
        ["746 byte 0x10", "615500 stall", "2662506 stall", "4179320 stall"]
    );
    assert_eq!(met(3), ["119 byte 0x10", "4249 byte 0x0"]);
}

#[test]
fn short_steps_are_drawn_anew_only_when_bytes_have_moved() {
    let mut script = script("seed 1; short write 10; short write 5", 0);
    let mut lengths = Vec::new();
    for _ in 0..200 {
        let step = script.write.step();
        assert_eq!(step, script.write.step());
        let Step::Pass { most, short: true } = step else {
            panic!("{step:?}");
        };
        lengths.push(most);
        assert_eq!(script.write.passed(most), None::<Ending>);
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths, [1, 2, 3, 4, 5]);
}
