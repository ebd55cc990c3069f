//! The addresses of one name, raced: RFC 8305 ("Happy Eyeballs"), sections 4 and 5.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::failures::Failure;

/// How long an attempt runs alone before the next address is tried beside it (RFC 8305, section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// `addresses` with the families in turns, from that of the first on, each once. The resolver's order (RFC 6724) is
/// kept within a family.
pub(crate) fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let first_is_v6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = unique
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut turns = Vec::new();
    for address in first {
        turns.push(address);
        turns.extend(second.next());
    }
    turns.extend(second);
    turns
}

/// Why a race has no winner.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) failures: Vec<Failure>,
    /// The deadline ended it.
    pub(crate) late: bool,
}

/// Dials `addresses` in their order, each as soon as the one before has failed or has not answered for
/// [`ATTEMPT_DELAY`]. The first that succeeds wins, and the other attempts are dropped.
pub(crate) async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    deadline: Option<Instant>,
    dial: impl Fn(SocketAddr) -> F,
) -> Result<T, Lost>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let mut attempts: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failures = Vec::new();
    loop {
        match waiting.next() {
            Some(address) => attempts.push((address, Box::pin(dial(address)))),
            None if attempts.is_empty() => {
                return Err(Lost {
                    failures,
                    late: false,
                });
            }
            None => {}
        }
        let next = Instant::now() + ATTEMPT_DELAY;
        tokio::select! {
            biased;
            (address, outcome) = settled(&mut attempts) => match outcome {
                Ok(connected) => return Ok(connected),
                Err(error) => failures.push((address, Some(error))),
            },
            () = sleep_until(deadline.unwrap_or(next)), if deadline.is_some() => {
                failures.extend(attempts.into_iter().map(|(address, _)| (address, None)));
                return Err(Lost { failures, late: true });
            }
            () = sleep_until(next), if waiting.len() > 0 => {}
        }
    }
}

/// The next attempt that ends, and how. It is taken out of `attempts`.
async fn settled<T, F>(attempts: &mut Vec<(SocketAddr, Pin<Box<F>>)>) -> (SocketAddr, io::Result<T>)
where
    F: Future<Output = io::Result<T>>,
{
    poll_fn(|cx| {
        for at in 0..attempts.len() {
            if let Poll::Ready(outcome) = attempts[at].1.as_mut().poll(cx) {
                return Poll::Ready((attempts.remove(at).0, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::time::sleep;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| address(text)).collect()
    }

    #[test]
    fn families_take_turns() {
        let (a, b, c, d) = ("[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1");
        let of = |texts: &[&str]| interleave(addresses(texts));
        assert_eq!(of(&[a, b, c, d]), addresses(&[a, d, b, c]));
        assert_eq!(of(&[d, a, b, c]), addresses(&[d, a, b, c]));
        assert_eq!(of(&[a, a, d, a]), addresses(&[a, d]));
        assert_eq!(of(&[]), []);
    }

    /// What an address does: answers after so many milliseconds, or never.
    type Answer = (Option<u64>, bool);

    /// Races addresses 127.0.0.1, 127.0.0.2 ... that answer so. Gives the winner or the failures, and when each address
    /// was tried and whether its attempt was dropped before it ended.
    async fn run(answers: &[Answer], limit: Option<u64>) -> (Result<u8, Lost>, Vec<u64>, usize) {
        struct Count<'a>(&'a Cell<usize>);
        impl Drop for Count<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let begun = Instant::now();
        let millis = || u64::try_from(begun.elapsed().as_millis()).expect("a short while");
        let tried = RefCell::new(Vec::new());
        let dropped = Cell::new(0);
        let all = (1..=answers.len())
            .map(|last| address(&format!("127.0.0.{last}:1")))
            .collect();
        let deadline = limit.map(|limit| begun + Duration::from_millis(limit));
        let outcome = race(all, deadline, |address| {
            tried.borrow_mut().push(millis());
            let SocketAddr::V4(v4) = address else {
                panic!("an IPv4 address")
            };
            let last = v4.ip().octets()[3];
            let (after, good) = answers[usize::from(last) - 1];
            let count = Count(&dropped);
            async move {
                match after {
                    Some(after) => sleep(Duration::from_millis(after)).await,
                    None => std::future::pending().await,
                }
                std::mem::forget(count);
                match good {
                    true => Ok(last),
                    false => Err(io::ErrorKind::ConnectionRefused.into()),
                }
            }
        })
        .await;
        (outcome, tried.into_inner(), dropped.get())
    }

    fn failed(lost: &Lost) -> Vec<(String, bool)> {
        lost.failures
            .iter()
            .map(|(address, error)| (address.ip().to_string(), error.is_some()))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_never_answers_costs_a_quarter_of_a_second() {
        let (won, tried, dropped) = run(&[(None, true), (None, true), (Some(10), true)], None).await;
        assert_eq!(won.expect("a winner"), 3);
        assert_eq!(tried, [0, 250, 500]);
        assert_eq!(dropped, 2, "the losers are dropped");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_lets_the_next_begin_at_once() {
        let (won, tried, _) = run(&[(Some(10), false), (Some(20), false), (Some(0), true)], None).await;
        assert_eq!(won.expect("a winner"), 3);
        assert_eq!(tried, [0, 10, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_address_may_still_win() {
        let (won, tried, dropped) = run(&[(Some(300), true), (Some(100), true)], None).await;
        assert_eq!(won.expect("a winner"), 1);
        assert_eq!((tried, dropped), (vec![0, 250], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_each_says_how() {
        let (lost, ..) = run(&[(Some(400), false), (Some(10), false)], None).await;
        let lost = lost.expect_err("no winner");
        let refused = |last: u8| (format!("127.0.0.{last}"), true);
        assert_eq!((failed(&lost), lost.late), (vec![refused(2), refused(1)], false));
        let (lost, ..) = run(&[], None).await;
        assert!(lost.expect_err("nobody runs").failures.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_them_all() {
        let begun = Instant::now();
        let (lost, tried, dropped) = run(&[(None, true), (Some(1), false), (None, true)], Some(1_000)).await;
        let lost = lost.expect_err("too late");
        assert_eq!(begun.elapsed(), Duration::from_millis(1_000));
        assert_eq!((tried, dropped, lost.late), (vec![0, 250, 251], 2, true));
        let ends = [("127.0.0.2", true), ("127.0.0.1", false), ("127.0.0.3", false)];
        assert_eq!(failed(&lost), ends.map(|(ip, error)| (ip.to_owned(), error)));
    }
}
