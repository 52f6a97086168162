//! The numbers of a file's rows, by which an erasure finds them.

use campaign::id::RowNumber;
use campaign::import::phone::CanonicalPhone;

/// The bytes of one entry: the number's digits, then the row, both little-endian.
const ENTRY_BYTES: usize = 12;
const DIGITS_BYTES: usize = 8;

/// The entry of a number in a row.
pub(super) fn encode(row: RowNumber, phone: CanonicalPhone) -> [u8; ENTRY_BYTES] {
    let mut entry = [0; ENTRY_BYTES];
    entry[..DIGITS_BYTES].copy_from_slice(&phone.digits().to_le_bytes());
    entry[DIGITS_BYTES..].copy_from_slice(&row.to_le_bytes());
    entry
}

/// The rows that have the number.
pub(super) fn find_rows(phones: &[u8], phone: CanonicalPhone) -> Vec<RowNumber> {
    let theirs = entries(phones, phone, true);
    let row = |entry: &[u8]| {
        entry[DIGITS_BYTES..]
            .try_into()
            .map(RowNumber::from_le_bytes)
    };
    theirs.filter_map(|entry| row(entry).ok()).collect()
}

/// The entries of all other numbers.
pub(super) fn without(phones: &[u8], phone: CanonicalPhone) -> Vec<u8> {
    entries(phones, phone, false).flatten().copied().collect()
}

fn entries(phones: &[u8], phone: CanonicalPhone, is_theirs: bool) -> impl Iterator<Item = &[u8]> {
    let wanted = phone.digits().to_le_bytes();
    let entries = phones.chunks_exact(ENTRY_BYTES);
    entries.filter(move |entry| (entry[..DIGITS_BYTES] == wanted) == is_theirs)
}

#[cfg(test)]
mod tests {
    use campaign::import::phone;

    use super::*;

    #[test]
    fn finds_and_removes_one_person() {
        let canonical = |text| phone::parse(text, None).expect("phone").canonical();
        let (ana, bo) = (canonical("+5511987654321"), canonical("+34612345678"));
        let phones: Vec<u8> = [(1, ana), (2, bo), (9, ana)]
            .into_iter()
            .flat_map(|(row, phone)| encode(row, phone))
            .collect();
        assert_eq!(find_rows(&phones, ana), [1, 9]);
        let left = without(&phones, ana);
        assert_eq!(
            (find_rows(&left, ana), find_rows(&left, bo)),
            (vec![], vec![2])
        );
    }
}
