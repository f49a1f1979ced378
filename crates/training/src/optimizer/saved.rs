//! What an optimizer keeps, as the bytes of a checkpoint's `optimizer.bin`.

/// Begins the file. One of the first format begins with the length of a weight, which is never so large.
const MARK: &[u8; 8] = b"ANNEALO2";

/// Plain numbers, by weight in visiting order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Saved {
    pub(crate) kept: Vec<Vec<Vec<f32>>>,
    /// One buffer for each averaged weight; none of a weight that is not, or without an average.
    pub(crate) average: Vec<Vec<Vec<f32>>>,
}

impl Saved {
    /// The mark, then `kept` and `average`: each its number of weights, of each weight its number of buffers, of each buffer
    /// its length and values. Numbers are u64, values f32, little-endian.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        let number = |bytes: &mut Vec<u8>, n: usize| bytes.extend((n as u64).to_le_bytes());
        for weights in [&self.kept, &self.average] {
            number(&mut bytes, weights.len());
            for buffers in weights {
                number(&mut bytes, buffers.len());
                for buffer in buffers {
                    number(&mut bytes, buffer.len());
                    bytes.extend(buffer.iter().flat_map(|value| value.to_le_bytes()));
                }
            }
        }
        bytes
    }

    /// None where the lengths do not add up.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Some(rest) = bytes.strip_prefix(MARK) else { return Self::first_format(bytes) };
        let mut reader = Reader(rest);
        let saved = Self { kept: reader.weights()?, average: reader.weights()? };
        reader.0.is_empty().then_some(saved)
    }

    /// AdamW's moments only: of each weight its length, then both moments.
    fn first_format(bytes: &[u8]) -> Option<Self> {
        let (mut reader, mut saved) = (Reader(bytes), Self::default());
        while !reader.0.is_empty() {
            let length = reader.number()?;
            saved.kept.push(vec![reader.values(length)?, reader.values(length)?]);
        }
        Some(saved)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Option<usize> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        usize::try_from(u64::from_le_bytes(*number)).ok()
    }

    fn values(&mut self, length: usize) -> Option<Vec<f32>> {
        let (values, rest) = self.0.split_at_checked(length.checked_mul(4)?)?;
        self.0 = rest;
        Some(values.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    fn weights(&mut self) -> Option<Vec<Vec<Vec<f32>>>> {
        let mut weights = Vec::new();
        for _ in 0..self.number()? {
            let mut buffers = Vec::new();
            for _ in 0..self.number()? {
                let length = self.number()?;
                buffers.push(self.values(length)?);
            }
            weights.push(buffers);
        }
        Some(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back_and_torn_ones_do_not() {
        let saved = Saved {
            kept: vec![vec![vec![1.0, -2.5], vec![]], vec![], vec![vec![f32::MIN_POSITIVE]]],
            average: vec![vec![], vec![vec![0.1, 0.2]]],
        };
        let bytes = saved.to_bytes();
        assert_eq!(Saved::from_bytes(&bytes), Some(saved));
        for torn in [&bytes[..bytes.len() - 1], &bytes[..20], &[bytes.as_slice(), &[0]].concat()] {
            assert_eq!(Saved::from_bytes(torn), None);
        }
        assert_eq!(Saved::from_bytes(&Saved::default().to_bytes()), Some(Saved::default()));
    }

    #[test]
    fn moments_of_the_first_format_are_read() {
        let mut bytes = 2u64.to_le_bytes().to_vec();
        bytes.extend([1f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()));
        let read = Saved::from_bytes(&bytes).unwrap();
        assert_eq!(read, Saved { kept: vec![vec![vec![1.0, 2.0], vec![3.0, 4.0]]], average: vec![] });
    }
}
