//! Values of placeholders.

use campaign::import::value::OnBadValue;

use super::case::{Case, case};

pub(super) fn value_cases() -> Vec<Case> {
    let long = format!(
        "phone,name\n+5511987654321,Ana\n+34612345678,{}\n",
        "x".repeat(1025)
    );
    vec![
        case(
            "white-space-cleaned.csv",
            "phone,name\n+5511987654321,\" Ana\t\n\"\n+34612345678,a      b\n",
        )
        .in_template_parameter()
        .ana(1)
        .recipient(2, "+34612345678", "a b"),
        case(
            "white-space-rejected.csv",
            "phone,name\n+5511987654321,Ana\n+34612345678,\"a\nb\"\n+34612345679,a     b\n",
        )
        .in_template_parameter()
        .with_options(|o| o.on_bad_value = OnBadValue::Reject)
        .ana(1)
        .rejected(2, "name", "line break")
        .rejected(3, "name", "four spaces"),
        case(
            "empty-values.csv",
            "phone,name\n+5511987654321,Ana\n+34612345678,\n+34612345679,  \n",
        )
        .in_template_parameter()
        .ana(1)
        .rejected(2, "name", "is empty")
        .rejected(3, "name", "is empty"),
        case("fallback.csv", "phone,name\n+5511987654321,\n")
            .text("{{name|friend}}")
            .recipient(1, "+5511987654321", ""),
        case("too-long.csv", long)
            .in_template_parameter()
            .ana(1)
            .rejected(2, "name", "takes 1024 characters"),
        case(
            "escaped-formula-is-unescaped.csv",
            "phone,name\n+5511987654321,'=1+1\n",
        )
        .recipient(1, "+5511987654321", "=1+1"),
    ]
}
