//! Choices that the same bytes make the same.

/// A generator that makes the same choices for the same bytes: first those that
/// the bytes themselves say, then those that follow from the first eight of them
/// (splitmix64). So a case can be found by chance and bent by coverage.
#[derive(Debug)]
pub(crate) struct Chance {
    said: std::vec::IntoIter<u8>,
    state: u64,
}

impl Chance {
    pub(crate) fn of(input: &[u8]) -> Self {
        let (seed, said) = input.split_at(input.len().min(8));
        let mut state = [0; 8];
        state[..seed.len()].copy_from_slice(seed);
        Self {
            said: Vec::from(said).into_iter(),
            state: u64::from_le_bytes(state),
        }
    }

    pub(crate) fn of_seed(seed: u64) -> Self {
        Self::of(&seed.to_le_bytes())
    }

    fn next(&mut self) -> u64 {
        if let Some(said) = self.said.next() {
            return said.into();
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn one_in(&mut self, end: usize) -> bool {
        self.below(end) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}
