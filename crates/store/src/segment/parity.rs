//! What repairs a footer: a checksum for every page of it, and parity pages. Pages are dealt out to groups like cards; a
//! group's parity page is the exclusive or of its pages, so that one damaged page of each group is computed from the others.
//! Neighbours are in different groups: damage may be as long as there are groups.

use super::bytes::{Malformed, Reader};

/// A footer has about so many pages for each of parity ...
const PAGES_A_GROUP: usize = 16;
/// ... of at most so many bytes. Sectors of disks are not larger.
const PAGE_BYTES_MAX: usize = 4096;
const PAGE_BYTES_MIN: usize = 64;
/// So that damage across the border of two pages can be repaired.
const GROUPS_MIN: usize = 2;

/// How a footer is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pages {
    footer_bytes: usize,
    page_bytes: usize,
}

impl Pages {
    /// For a footer of this length.
    pub(crate) fn new(footer_bytes: usize) -> Self {
        let page_bytes = (footer_bytes / PAGES_A_GROUP).next_power_of_two().clamp(PAGE_BYTES_MIN, PAGE_BYTES_MAX);
        Self { footer_bytes, page_bytes }
    }

    fn pages(self) -> usize {
        self.footer_bytes.div_ceil(self.page_bytes)
    }

    fn groups(self) -> usize {
        self.pages().div_ceil(PAGES_A_GROUP).max(GROUPS_MIN)
    }

    pub(crate) fn parity_bytes(self) -> usize {
        self.groups() * self.page_bytes
    }

    /// The checksums of all pages, those of parity too, and one of these.
    pub(crate) fn table_bytes(self) -> usize {
        (self.pages() + self.groups() + 1) * 4
    }

    /// The parity pages.
    pub(crate) fn parity(self, footer: &[u8]) -> Vec<u8> {
        let mut parity = vec![0; self.parity_bytes()];
        for (at, page) in footer.chunks(self.page_bytes).enumerate() {
            xor(self.parity_page(&mut parity, at), page);
        }
        parity
    }

    fn parity_page(self, parity: &mut [u8], page: usize) -> &mut [u8] {
        let from = page % self.groups() * self.page_bytes;
        &mut parity[from..from + self.page_bytes]
    }

    pub(crate) fn table(self, footer: &[u8], parity: &[u8]) -> Vec<u8> {
        let pages = footer.chunks(self.page_bytes).chain(parity.chunks(self.page_bytes));
        let mut table: Vec<u8> = pages.flat_map(|page| crc32fast::hash(page).to_le_bytes()).collect();
        let crc = crc32fast::hash(&table);
        table.extend_from_slice(&crc.to_le_bytes());
        table
    }

    /// The checksums of a table, if its own is right.
    pub(crate) fn read_table(self, table: &[u8]) -> Result<Vec<u32>, Malformed> {
        let (crcs, rest) = table.as_chunks();
        let mut crcs: Vec<u32> = crcs.iter().map(|&crc| u32::from_le_bytes(crc)).collect();
        let own = crcs.pop();
        let right = own == Some(crc32fast::hash(&table[..table.len().saturating_sub(4)]));
        let whole = rest.is_empty() && crcs.len() == self.pages() + self.groups();
        if right && whole { Ok(crcs) } else { Err(Malformed("the checksums of the footer's pages")) }
    }

    /// Repairs a footer; answers where pages were wrong.
    pub(crate) fn repair(self, footer: &mut [u8], parity: &[u8], crcs: &[u32]) -> Result<Vec<usize>, Malformed> {
        let groups = self.groups();
        let (pages_crcs, parity_crcs) = crcs.split_at(self.pages());
        let right = |page: &[u8], crc: u32| crc32fast::hash(page) == crc;
        let pages = footer.chunks(self.page_bytes).zip(pages_crcs).enumerate();
        let wrong: Vec<usize> = pages.filter(|(_, (page, crc))| !right(page, **crc)).map(|(at, _)| at).collect();
        for &at in &wrong {
            let group = at % groups;
            let parity_page = &parity[group * self.page_bytes..][..self.page_bytes];
            let others = wrong.iter().filter(|&&other| other % groups == group).count() > 1;
            if others || !right(parity_page, parity_crcs[group]) {
                return Err(Malformed("more of the footer than can be repaired"));
            }
            let mut page = parity_page.to_vec();
            for (other, bytes) in footer.chunks(self.page_bytes).enumerate().skip(group).step_by(groups) {
                if other != at {
                    xor(&mut page, bytes);
                }
            }
            let from = at * self.page_bytes;
            let to = self.footer_bytes.min(from + self.page_bytes);
            footer[from..to].copy_from_slice(&page[..to - from]);
        }
        Ok(wrong.iter().map(|page| page * self.page_bytes).collect())
    }
}

/// The bytes of a page in the file, as the reader of the footer sees them.
pub(crate) fn split_end<'a>(reader: &mut Reader<'a>, pages: Pages) -> Result<[&'a [u8]; 3], Malformed> {
    Ok([reader.take(pages.parity_bytes())?, reader.take(pages.table_bytes())?, reader.take(pages.table_bytes())?])
}

fn xor(into: &mut [u8], page: &[u8]) {
    into.iter_mut().zip(page).for_each(|(into, byte)| *into ^= byte);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_as_long_as_there_are_groups_is_repaired() {
        for len in [0, 1, 63, 64, 200, 5_000, 70_000, 300_000] {
            let footer: Vec<u8> = (0..len).map(|at: usize| (at * at / 7) as u8).collect();
            let pages = Pages::new(len);
            let parity = pages.parity(&footer);
            let table = pages.table(&footer, &parity);
            assert_eq!((parity.len(), table.len()), (pages.parity_bytes(), pages.table_bytes()));
            let crcs = pages.read_table(&table).unwrap();
            assert_eq!(pages.repair(&mut footer.clone(), &parity, &crcs).unwrap(), []);
            let longest = (pages.groups() - 1) * pages.page_bytes;
            for from in (0..len).step_by(len / 13 + 1) {
                let mut damaged = footer.clone();
                let to = len.min(from + longest);
                damaged[from..to].iter_mut().for_each(|byte| *byte = !*byte);
                assert!(!pages.repair(&mut damaged, &parity, &crcs).unwrap().is_empty());
                assert!(damaged == footer, "{from} of {len}");
            }
        }
    }

    #[test]
    fn more_than_can_be_repaired_is_an_error() {
        let footer = vec![1; 100_000];
        let pages = Pages::new(footer.len());
        let parity = pages.parity(&footer);
        let table = pages.table(&footer, &parity);
        let crcs = pages.read_table(&table).unwrap();
        assert!(pages.repair(&mut vec![2; 100_000], &parity, &crcs).is_err());
        let mut damaged = footer;
        damaged[7] = 9;
        assert!(pages.repair(&mut damaged, &vec![0; parity.len()], &crcs).is_err());
        assert!(pages.read_table(&table[1..]).is_err());
    }
}
