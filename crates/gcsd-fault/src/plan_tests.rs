//! A plan and its text.

use std::num::{NonZeroU8, NonZeroU64};
use std::time::Duration;

use super::*;

fn read(text: &str) -> Plan {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn texts_that_are_already_in_order_stay_as_they_are() {
    for text in [
        "off",
        "seed 7",
        "seed 7; refuse p 0.05",
        "seed 0; hang",
        "seed 0; hang for 5s on 3",
        "seed 1; reset before write 0",
        "seed 1; reset in read 64KiB on 0..2 p 0.25",
        "seed 1; reset after write 262145 on 5..",
        "seed 1; close in read 0",
        "seed 18446744073709551615; close after write 18446744073709551615",
        "seed 1; stall read 1MiB",
        "seed 1; stall write 0..1GiB for 250ms; stall read 1..2 for 1500us; stall read 3 for 7ns",
        "seed 1; flip write 0.001/MiB mask 0x80; flip read 17 mask 0x01",
        "seed 1; short read 7; short write 1KiB on 18446744073709551615",
    ] {
        assert_eq!(read(text).to_string(), text);
    }
}

#[test]
fn texts_may_be_loose() {
    for (loose, strict) in [
        ("  off ", "off"),
        ("refuse", "seed 0; refuse"),
        ("refuse p 1.0 on 0..; seed 9", "seed 9; refuse"),
        ("\n seed   9\nrefuse  on 4..5;;\n", "seed 9; refuse on 4"),
        ("flip read 1024", "seed 0; flip read 1KiB mask 0x01"),
        (
            "reset in write 0KiB..1024KiB p 1e-3",
            "seed 0; reset in write 0..1MiB p 0.001",
        ),
        ("stall read 0 for 1000ms p -0", "seed 0; stall read 0 for 1s p 0"),
        ("flip write 00.5/MiB", "seed 0; flip write 0.5/MiB mask 0x01"),
    ] {
        assert_eq!(read(loose).to_string(), strict);
        assert_eq!(read(loose), read(strict));
    }
}

#[test]
fn errors_say_what_was_expected() {
    for (text, problem) in [
        ("", "there is no rule; to have none, write \"off\""),
        (" ; \n", "there is no rule; to have none, write \"off\""),
        ("seed", "expected a number, found the end"),
        ("seed -1", "expected a number, found -1"),
        ("seed +1", "expected a number, found +1"),
        (
            "seed 18446744073709551616",
            "expected a number, found 18446744073709551616",
        ),
        ("seed 1 2", "2 does not belong here"),
        ("seed 1; seed 2", "there is a seed already"),
        (
            "explode",
            "expected refuse, hang, reset, close, stall, flip or short, found explode",
        ),
        (
            "refuse; off",
            "expected refuse, hang, reset, close, stall, flip or short, found off",
        ),
        ("reset write 5", "expected before, in or after, found write"),
        ("reset in both 5", "expected write or read, found both"),
        ("hang for", "expected a duration such as 500ms, found the end"),
        ("hang for 5", "expected a duration such as 500ms, found 5"),
        ("hang for ms", "expected a duration such as 500ms, found ms"),
        (
            "hang for 99999999999s",
            "expected a duration such as 500ms, found 99999999999s",
        ),
        (
            "flip read 0 mask 0x00",
            "expected a byte such as 0x80, not 0x00, found 0x00",
        ),
        (
            "flip read 0 mask 0x100",
            "expected a byte such as 0x80, not 0x00, found 0x100",
        ),
        (
            "flip read 0 mask 0x+1",
            "expected a byte such as 0x80, not 0x00, found 0x+1",
        ),
        ("short read 0", "expected a size above 0, found 0"),
        ("short read 1..2", "expected a size above 0, found 1..2"),
        (
            "refuse on",
            "expected a connection's number, or an interval such as 3..5, found the end",
        ),
        (
            "refuse on 5..5",
            "expected a connection's number, or an interval such as 3..5, found 5..5",
        ),
        (
            "refuse on ..5",
            "expected a connection's number, or an interval such as 3..5, found ..5",
        ),
        ("refuse p 1.1", "expected a probability from 0 to 1, found 1.1"),
        ("refuse p nan", "expected a probability from 0 to 1, found nan"),
        ("refuse p 1 p 1", "p does not belong here"),
        ("refuse 5", "5 does not belong here"),
    ] {
        let error = text.parse::<Plan>().expect_err(text).to_string();
        assert!(error.ends_with(&format!(": {problem}")), "{text}: {error}");
    }
    for place in [
        "",
        "x",
        "-1",
        "5..",
        "..5",
        "5..5",
        "6..5",
        "2/MiB",
        "1TiB",
        "17179869184GiB",
        "5 KiB",
    ] {
        let text = format!("stall read {place}");
        assert!(text.parse::<Plan>().is_err(), "{text}");
    }
    assert!("refuse;".repeat(syntax::MAX_RULES).parse::<Plan>().is_ok());
    assert!("refuse;".repeat(syntax::MAX_RULES + 1).parse::<Plan>().is_err());
}

#[test]
fn every_plan_is_read_back_as_it_was() {
    let mut random = Random::new(42);
    for _ in 0..2_000 {
        let count = random.below(6);
        let plan = Plan {
            seed: random.next_u64() >> random.below(64),
            rules: (0..count).map(|_| any_rule(&mut random)).collect(),
        };
        assert_eq!(read(&plan.to_string()), plan, "{plan}");
    }
}

fn any_rule(random: &mut Random) -> Rule {
    let direction = [Direction::Write, Direction::Read][any_index(random, 2)];
    let place = any_place(random);
    let duration = [None, Some(any_duration(random))][any_index(random, 2)];
    let fault = match random.below(6) {
        0 => Fault::Refuse,
        1 => Fault::Hang { duration },
        2 => Fault::Cut {
            ending: [Ending::Reset, Ending::Close][any_index(random, 2)],
            phase: [Phase::Before, Phase::In, Phase::After][any_index(random, 3)],
            direction,
            place,
        },
        3 => Fault::Stall {
            direction,
            place,
            duration,
        },
        4 => Fault::Flip {
            direction,
            place,
            mask: NonZeroU8::new(u8::try_from(random.below(256)).expect("a byte")).unwrap_or(NonZeroU8::MIN),
        },
        _ => Fault::Short {
            direction,
            most: NonZeroU64::new(any_size(random)).unwrap_or(NonZeroU64::MIN),
        },
    };
    let from = any_size(random);
    let on = match random.below(4) {
        0 => Interval::ALL,
        1 => Interval::only(from),
        2 => Interval {
            start: from,
            end: None,
        },
        _ => Interval {
            start: from / 2,
            end: Some(from / 2 + 1 + random.below(1 << 20)),
        },
    };
    let probability = [Probability::CERTAIN, any_probability(random)][any_index(random, 2)];
    Rule {
        fault,
        on,
        probability,
    }
}

fn any_place(random: &mut Random) -> Place {
    match random.below(3) {
        0 => Place::At(any_size(random)),
        1 => {
            let from = any_size(random) / 2;
            let end = from + 1 + any_size(random) / 4;
            Place::Within { from, end }
        }
        _ => Place::PerMib(any_probability(random)),
    }
}

fn any_index(random: &mut Random, end: u64) -> usize {
    usize::try_from(random.below(end)).expect("small")
}

/// Any number of bits, and often with many zeros at its end.
fn any_size(random: &mut Random) -> u64 {
    let shift = random.below(64);
    let size = random.next_u64() >> shift;
    if random.below(2) == 0 {
        size
    } else {
        (size >> 30) << 20
    }
}

fn any_duration(random: &mut Random) -> Duration {
    let unit = [1, 1_000, 1_000_000, 1_000_000_000][any_index(random, 4)];
    Duration::from_nanos(random.below(100_000) * unit)
}

fn any_probability(random: &mut Random) -> Probability {
    Probability::new(random.unit() / [1.0, 1e6][any_index(random, 2)]).expect("below 1")
}
