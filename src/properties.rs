//! What holds for any bytes at all: the unit tests generate them, and so does the fuzzer, for which
//! alone this is compiled in otherwise (`--cfg fuzzing`).

mod head;
mod values;

pub use head::head;
pub use values::{target, values};

/// The first byte of `data`, which chooses what is done with the rest.
fn choice(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(first, rest)| (*first, rest))
}

#[cfg(test)]
mod tests;
