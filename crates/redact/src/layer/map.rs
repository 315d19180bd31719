//! From a reading back to the text it was read from.

use std::ops::Range;

/// Where each byte of a reading stands in the text. What is between two spans stands there as it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Map(Vec<Span>);

/// Encoded units, all of one size, one behind the other.
#[derive(Debug, PartialEq, Eq)]
struct Span {
    inside: usize,
    outside: usize,
    count: usize,
    /// Bytes of the reading for each unit, and bytes of the text.
    read: usize,
    stood: usize,
}

impl Map {
    /// A reading that begins here.
    pub(super) fn starting_at(outside: usize) -> Self {
        Self(vec![Span { inside: 0, outside, count: 0, read: 0, stood: 0 }])
    }

    /// Adds a unit: `read` bytes at `inside` are what `stood` bytes at `outside` stand for.
    pub(super) fn add(&mut self, inside: (usize, usize), outside: (usize, usize)) {
        self.add_many(inside, outside, 1);
    }

    /// Adds units of one size.
    pub(super) fn add_many(
        &mut self,
        (inside, read): (usize, usize),
        (outside, stood): (usize, usize),
        count: usize,
    ) {
        if let Some(last) = self.0.last_mut()
            && (last.read, last.stood) == (read, stood)
            && last.inside + last.count * read == inside
            && last.outside + last.count * stood == outside
        {
            last.count += count;
            return;
        }
        self.0.push(Span { inside, outside, count, read, stood });
    }

    /// Where a part of the reading stands, widened to whole units.
    pub(super) fn outside(&self, inside: &Range<usize>) -> Range<usize> {
        let start = self.unit(inside.start).start;
        let end = if inside.is_empty() { start } else { self.unit(inside.end - 1).end };
        start..end.max(start)
    }

    /// Where the unit or byte at a place of the reading stands.
    fn unit(&self, inside: usize) -> Range<usize> {
        let at = self.0.partition_point(|span| span.inside <= inside);
        let Some(span) = at.checked_sub(1).map(|at| &self.0[at]) else { return 0..0 };
        let within = inside - span.inside;
        if within < span.count * span.read {
            let start = span.outside + within / span.read * span.stood;
            return start..start + span.stood;
        }
        let start = span.outside + span.count * span.stood + within - span.count * span.read;
        start..start + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_widened_to_the_units_that_it_stands_in() {
        // "ab%73%6Bc" behind ten bytes, then something that stands for nothing, then "d".
        let mut map = Map::starting_at(10);
        map.add((2, 1), (12, 3));
        map.add((3, 1), (15, 3));
        map.add((5, 0), (19, 3));
        assert_eq!(map.outside(&(0..2)), 10..12);
        assert_eq!(map.outside(&(1..3)), 11..15);
        assert_eq!(map.outside(&(2..4)), 12..18);
        assert_eq!(map.outside(&(4..5)), 18..19);
        assert_eq!(map.outside(&(4..6)), 18..23);
        assert_eq!(map.outside(&(3..3)), 15..15);
    }
}
