//! What a budget gives to whom, and when.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::*;

fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn now(account: &Account, amount: u64) -> Option<Share> {
    match poll(pin!(account.take(amount))) {
        Poll::Ready(share) => Some(share),
        Poll::Pending => None,
    }
}

/// What a pinned future gives at once.
macro_rules! ready {
    ($future:expr) => {
        match poll($future.as_mut()) {
            Poll::Ready(share) => share,
            Poll::Pending => panic!("it waits"),
        }
    };
}

#[test]
fn nobody_takes_what_is_kept_for_those_that_hold_nothing() {
    let budget = Budget::new(10);
    let greedy = budget.account();
    let held: Vec<Share> = std::iter::from_fn(|| now(&greedy, 1)).collect();
    assert_eq!((held.len(), budget.free(), budget.waiting()), (5, 5, 0));
    // Each of five others still gets its first, and no second.
    let others: Vec<Account> = (0..5).map(|_| budget.account()).collect();
    let firsts: Vec<Share> = others.iter().filter_map(|other| now(other, 1)).collect();
    assert_eq!((firsts.len(), budget.free()), (5, 0));
    assert!(now(&others[0], 1).is_none());
    drop((held, firsts));
    assert_eq!((budget.free(), budget.waiting()), (10, 0));
    assert!(budget.0.lock().holders.is_empty());
}

#[test]
fn one_alone_has_half_and_more_than_all_is_all() {
    let budget = Budget::new(8);
    let account = budget.account();
    let all = now(&account, u64::MAX).expect("it holds nothing else");
    assert_eq!(budget.free(), 0);
    drop(all);
    let one = now(&account, 1).expect("the first");
    // Seven are free, and four of them are kept.
    assert!(now(&account, 4).is_none());
    let three = now(&account, 3).expect("the rest of its half");
    drop((one, three));
    assert_eq!(budget.free(), 8);
}

#[test]
fn those_that_wait_take_turns() {
    let budget = Budget::new(4);
    let (a, b, new) = (budget.account(), budget.account(), budget.account());
    let (a1, b1) = (now(&a, 1).expect("free"), now(&b, 1).expect("free"));
    let mut waits: Vec<_> = [&a, &a, &a, &b]
        .map(|account| Box::pin(account.take(1)))
        .into_iter()
        .collect();
    assert!(waits.iter_mut().all(|wait| poll(wait.as_mut()).is_pending()));
    // Two are free, and kept: a newcomer is not behind those that wait for more.
    let n1 = now(&new, 1).expect("kept for it");
    drop((n1, a1));
    // Three are free: one for a, who holds nothing now, then b's, which waited shorter than a's others.
    let a2 = ready!(waits[0]);
    assert!(poll(waits[1].as_mut()).is_pending() && poll(waits[3].as_mut()).is_pending());
    drop(b1);
    let b2 = ready!(waits[3]);
    assert!(poll(waits[1].as_mut()).is_pending());
    drop((a2, b2));
    let a3 = ready!(waits[1]);
    let a4 = ready!(waits[2]);
    drop((a3, a4));
    assert_eq!((budget.free(), budget.waiting()), (4, 0));
}

#[test]
fn who_waits_for_much_is_not_overtaken_for_ever() {
    let budget = Budget::new(10);
    let (holder, large, small) = (budget.account(), budget.account(), budget.account());
    let held = now(&holder, 6).expect("free");
    let mut much = Box::pin(large.take(8));
    assert!(poll(much.as_mut()).is_pending());
    let mut little = Box::pin(small.take(1));
    assert!(poll(little.as_mut()).is_pending(), "it would overtake");
    drop(held);
    let much = ready!(much);
    let little = ready!(little);
    drop((much, little));
    assert_eq!(budget.free(), 10);
}

#[test]
fn whoever_leaves_the_line_leaves_nothing_behind() {
    let budget = Budget::new(2);
    let (a, b, c) = (budget.account(), budget.account(), budget.account());
    let all = now(&a, 2).expect("free");
    let mut first = Box::pin(b.take(2));
    let mut second = Box::pin(c.take(1));
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    assert_eq!(budget.waiting(), 2);
    // Granted and dropped before it was looked at: the next one has it.
    drop(all);
    drop(first);
    let one = ready!(second);
    // Dropped while it waits.
    let mut third = Box::pin(a.take(2));
    assert!(poll(third.as_mut()).is_pending());
    drop(third);
    assert_eq!(budget.waiting(), 0);
    drop(one);
    assert_eq!(budget.free(), 2);
    assert!(budget.0.lock().holders.is_empty());
    assert!(budget.0.lock().first.is_empty() && budget.0.lock().further.is_empty());
}

#[tokio::test]
async fn a_crowd_gets_its_turns_and_gives_everything_back() {
    let budget = Budget::new(7);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200_u64 {
        let account = budget.account();
        tasks.spawn(async move {
            for round in 0..20 {
                let take = account.take(1 + (n + round) % 9);
                if (n + round) % 3 == 0 {
                    tokio::select! {
                        biased;
                        share = take => drop(share),
                        () = tokio::task::yield_now() => {}
                    }
                } else {
                    let share = take.await;
                    tokio::task::yield_now().await;
                    drop(share);
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic");
    }
    assert_eq!((budget.free(), budget.waiting()), (7, 0));
    assert!(budget.0.lock().holders.is_empty());
}
