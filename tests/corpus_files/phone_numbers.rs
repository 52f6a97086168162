//! Phone numbers as they are in customer lists.

use super::case::{Case, case};

pub(super) fn phone_cases() -> Vec<Case> {
    vec![
        case("international.csv", "phone,name\n+55 11 98765-4321,Ana\n55.11.98765.4322,Bo\n0034 612 34 56 78,Eve\n+49 (0)151 23456789,Udo\n").default_region("BR")
            .ana(1).recipient(2, "+5511987654322", "Bo").recipient(3, "+34612345678", "Eve").recipient(4, "+4915123456789", "Udo"),
        case("national.csv", "phone,name\n(11) 98765-4321,Ana\n011 98765 4322,Bo\n11 98765.4323,Eve\n").default_region("BR")
            .ana(1).recipient(2, "+5511987654322", "Bo").recipient(3, "+5511987654323", "Eve"),
        case("national-without-region.csv", "phone,name\n+5511987654321,Ana\n(11) 98765-4322,Bo\n").ana(1).rejected(2, "phone", "country code is missing"),
        case("excel-text-marks.csv", "phone,name\n'+5511987654321,Ana\n\"=\"\"+34612345678\"\"\",Bo\n=“+33612345678”,Eve\n")
            .ana(1).recipient(2, "+34612345678", "Bo").recipient(3, "+33612345678", "Eve"),
        case("invisible-characters.csv", "phone,name\n\u{202a}+55\u{a0}11\u{200b} 98765-4321\u{202c},Ana\n").ana(1),
        case("scientific.csv", "phone,name\n+5511987654321,Ana\n5.5E+11,Bo\n\"5,51199E+12\",Eve\n").ana(1)
            .rejected(2, "phone", "rounded").rejected(3, "phone", "rounded"),
        case("lost-zero.csv", "phone,name\n06 1234 5678,Ana\n6 1234 5678,Bo\n").default_region("IT").recipient(1, "+390612345678", "Ana").rejected(2, "phone", "leading zero"),
        case("lost-trunk-zero.csv", "phone,name\n612345678,Ana\n").default_region("FR").recipient(1, "+33612345678", "Ana"),
        case("two-numbers.csv", "phone,name\n+5511987654321,Ana\n+34612345678 / +34612345679,Bo\n\"+34612345678, 612345679\",Eve\n").ana(1)
            .rejected(2, "phone", "more than one number").rejected(3, "phone", "more than one number"),
        case("letters.csv", "phone,name\n+5511987654321,Ana\n+34612345678 (home),Bo\nn/a,Eve\n,Tom\n").ana(1)
            .rejected(2, "phone", "letters").rejected(3, "phone", "not a phone number").rejected(4, "phone", "is empty"),
        case("floats.csv", "phone,name\n5511987654321.0,Ana\n").ana(1),
        case("repeats.csv", "phone,name\n+5511987654321,Ana\n55 11 98765 4321,Bo\n+55 (11) 98765-4321,Eve\n").default_region("BR").ana(1).duplicates(2),
        case("spellings-of-one-number.csv", "phone,name\n+5511987654321,Ana\n+551187654321,Ana\n+5215512345678,Bo\n+525512345678,Bo\n+5491123456789,Eve\n+541123456789,Eve\n")
            .ana(1).recipient(3, "+525512345678", "Bo").recipient(5, "+5491123456789", "Eve").duplicates(3),
    ]
}
