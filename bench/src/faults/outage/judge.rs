//! Whether what arrived is what must arrive.

use crate::faults::player::Line;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// What arrived of the numbers `1..=last`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrival {
    /// Numbers that never came, in order.
    pub missing: Vec<u64>,
    /// Messages that came again.
    pub again: u64,
    /// Whether each number came first after all smaller ones that came.
    pub in_order: bool,
}

/// Compares the numbers, in the order in which they came, with `1..=last`.
pub fn arrival(came: &[u64], last: u64) -> Arrival {
    let (mut seen, mut in_order, mut highest, mut again) = (BTreeSet::new(), true, 0, 0);
    for number in came {
        if !seen.insert(*number) {
            again += 1;
            continue;
        }
        in_order &= *number > highest;
        highest = highest.max(*number);
    }
    Arrival { missing: (1..=last).filter(|number| !seen.contains(number)).collect(), again, in_order }
}

/// What was wrong. `bound` is how many messages the outbox holds, `dropped` what the device says in its diagnostics that it dropped.
pub fn wrong(arrival: &Arrival, lines: &[Line], bound: u64, dropped: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    if !arrival.in_order {
        wrong.push("numbers came out of order".to_owned());
    }
    let missing = arrival.missing.len() as u64;
    if dropped != missing {
        wrong.push(format!("{missing} numbers never came, and the device says that it dropped {dropped}"));
    }
    let Some(gap) = gap(&arrival.missing) else {
        if missing > 0 {
            wrong.push(format!("the numbers that never came are not one row: {:?}", arrival.missing));
        }
        return wrong;
    };
    // After the first loss the newest `bound` numbers are held until the device is back; until then there is no room for more.
    let back = lines.iter().find(|line| line.n > *gap.start() && line.online).or(lines.last());
    match back {
        Some(back) if gap.end() + bound > back.n => {
            wrong.push(format!("{} never came although the outbox held {bound} when {} was said", gap.end(), back.n));
        }
        Some(_) => {}
        None => wrong.push("the device printed nothing".to_owned()),
    }
    wrong
}

/// The row of numbers, when they are one.
fn gap(missing: &[u64]) -> Option<RangeInclusive<u64>> {
    let (first, last) = (*missing.first()?, *missing.last()?);
    (last - first + 1 == missing.len() as u64).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u64, online: bool) -> Line {
        Line { n, waiting: 0, dropped: 0, online }
    }

    fn all_but(missing: RangeInclusive<u64>) -> Vec<u64> {
        (1..=30).filter(|number| !missing.contains(number)).collect()
    }

    #[test]
    fn everything_in_order_is_right_and_what_came_again_is_counted() {
        let mut came: Vec<u64> = (1..=30).collect();
        came.splice(20..20, [18, 19, 20]);
        let arrival = arrival(&came, 30);
        assert_eq!(arrival, Arrival { missing: vec![], again: 3, in_order: true });
        assert!(wrong(&arrival, &[line(30, true)], 10, 0).is_empty());
    }

    #[test]
    fn a_gap_of_the_oldest_is_right_when_the_device_counted_it_and_held_no_more() {
        let lines: Vec<_> = (1..=30).map(|n| line(n, !(5..=25).contains(&n))).collect();
        let judged = |missing: RangeInclusive<u64>, dropped| wrong(&arrival(&all_but(missing), 30), &lines, 10, dropped);
        assert!(judged(5..=16, 12).is_empty());
        assert_eq!(judged(5..=16, 11).len(), 1, "counted wrongly");
        assert_eq!(judged(5..=17, 13).len(), 1, "more was lost than the outbox had to drop");
        assert_eq!(wrong(&arrival(&[&all_but(5..=16)[..4], &[20, 19]].concat(), 20), &lines, 10, 14).len(), 2, "out of order, and not one row");
    }
}
