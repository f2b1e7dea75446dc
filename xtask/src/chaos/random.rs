//! Decisions that a seed fixes. Timing still differs: the same seed gives the same plan, not
//! the same run.

use std::time::Duration;

/// A SplitMix64 generator (Steele, Lea, Flood, 2014): small, and good enough
/// for choosing what to do next.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// One of several streams of a seed that have nothing to do with each other.
    pub(super) fn stream(seed: u64, stream: u64) -> Self {
        let mut parent = Self(seed);
        let base = parent.next();
        Self(base ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    /// Any number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where that is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // The bias is below 2^-40 for any bound that is used here.
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// True this many times in a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time from `least` to `most`.
    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
        least + Duration::from_millis(self.below(span.saturating_add(1)))
    }

    /// Takes any one out of a list.
    pub(super) fn take<T>(&mut self, list: &mut Vec<T>) -> Option<T> {
        let length = u64::try_from(list.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(self.below(length)).ok()?;
        (index < list.len()).then(|| list.swap_remove(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_stream_others() {
        let numbers = |seed, stream| {
            let mut random = Random::stream(seed, stream);
            [(); 4].map(|()| random.next())
        };
        assert_eq!(numbers(7, 1), numbers(7, 1));
        assert_ne!(numbers(7, 1), numbers(7, 2));
        assert_ne!(numbers(7, 1), numbers(8, 1));
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first numbers of its reference implementation for seed 1234567.
        let mut random = Random(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn choices_stay_within_their_bounds_and_reach_them() {
        let mut random = Random::stream(1, 0);
        let (least, most) = (Duration::from_millis(3), Duration::from_millis(5));
        let times: Vec<_> = (0..200).map(|_| random.between(least, most)).collect();
        assert!(times.iter().all(|time| (least..=most).contains(time)));
        assert!(times.contains(&least) && times.contains(&most));
        assert!(!(0..200).any(|_| random.chance(0)));
        assert!((0..200).all(|_| random.chance(100)));
        assert_eq!(random.below(0), 0);

        let mut list = vec!['a', 'b', 'c'];
        let mut taken: Vec<_> = std::iter::from_fn(|| random.take(&mut list)).collect();
        taken.sort_unstable();
        assert_eq!(taken, ['a', 'b', 'c']);
    }
}
