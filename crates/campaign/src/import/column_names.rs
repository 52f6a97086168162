//! What the name of a column says about its content, in the languages of the exports that operators upload. It helps to choose
//! among columns whose content looks alike; content comes first (`column_choice`).

/// What a column is, judged by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ColumnKind {
    /// Something else, such as a tax number, or a fact about a number, such as its type.
    Other,
    /// Nothing is known.
    Unknown,
    /// A fax number.
    Fax,
    /// The number of somebody else: an emergency contact, an agent.
    OtherPerson,
    /// The number at which something is delivered, perhaps to somebody else.
    Delivery,
    /// A number at home or at work, often a landline.
    Place,
    /// A phone number.
    Phone,
    /// A mobile number.
    Mobile,
    /// A number that is on WhatsApp.
    Whatsapp,
}

impl ColumnKind {
    /// Whether the name says that the column has phone numbers of the recipients.
    pub(super) fn is_recipients(self) -> bool {
        matches!(
            self,
            ColumnKind::Delivery
                | ColumnKind::Place
                | ColumnKind::Phone
                | ColumnKind::Mobile
                | ColumnKind::Whatsapp
        )
    }

    /// How much a number in such a column is worth, in percent.
    pub(super) fn weight(self) -> u64 {
        match self {
            ColumnKind::Whatsapp => 150,
            ColumnKind::Mobile => 120,
            ColumnKind::Phone => 100,
            ColumnKind::Unknown | ColumnKind::Delivery => 80,
            ColumnKind::Place => 70,
            ColumnKind::OtherPerson | ColumnKind::Fax | ColumnKind::Other => 1,
        }
    }
}

/// Words of facts about a number, such as its type or its country.
const ATTRIBUTE_WORDS: &str = "type label status consent verified extension ext prefix ddi ddd carrier valid optin subscribed blocklisted \
    blacklisted count country pais land email mail date fecha datum typ tipo url ip timezone notes";
/// The same, as parts of words.
const ATTRIBUTE_STEMS: &str = "countrycode landesvorwahl phonetic optin optout marketing";

const FAX_STEMS: &str = "fax faks факс telecopi 传真 傳真 ファックス 팩스";
const WHATSAPP_STEMS: &str = "whatsapp watsapp watsap wpp ватсап вотсап";
const WHATSAPP_WORDS: &str = "wa zap whats";
const MOBILE_STEMS: &str = "mobil mobiel movil movel celular cellular cellphone handy portable komork matkapuhelin \
    kannykka ponsel handphone natel telemovel didong мобил сотов κινητ 手机 手機 行動電話 携帯 휴대 핸드폰 موبايل جوال محمول נייד \
    मोबाइल มือถือ мобіл";
const MOBILE_WORDS: &str = "cell cel mob gsm hp mov cep sms";
const PHONE_STEMS: &str = "phone telef telephon puhelin rufnummer msisdn телефон τηλεφων 电话 電話 전화 연락처 هاتف تليفون טלפון फोन फ़ोन \
    โทร dienthoai contactnumber contactno numerodecontact numerodecontato numerodecontacto kontaktnummer \
    telepon callernumber";
const PHONE_WORDS: &str = "tel tlf tlfn tfn simu fone ph sdt fon tfno telno";
/// Whole names that some exports give the number.
const PHONE_NAMES: &str = "number numero nummer to recipient destinatario nomor num номер";
const PLACE_WORDS: &str = "home work office business landline fixed fijo fixo fixe casa residencial comercial trabajo trabalho privat \
    geschaftlich buro festnetz domicile bureau travail ufficio lavoro thuis werk kantoor domowy sluzbowy company \
    main switchboard otro other sonstige car radio callback primario jobb hem arbejde рабочий домашний рабочии \
    домашнии городской";
const OTHER_PERSON_WORDS: &str = "emergency notfall emergencia urgence parent guardian spouse mother father assistant manager agent referrer \
    referral rep owner vendor supplier courier driver seller store shop branch asst reference secretary tutor \
    pai mae";
const DELIVERY_WORDS: &str = "shipping ship delivery entrega envio livraison lieferung liefer consegna receiver address adresse direccion \
    endereco bezorg";
const OTHER_WORDS: &str = "id order zip postal postcode plz cp cpf cnpj dni nif iban account vat tax sku ean barcode birthday birth \
    amount total price qty quantity lat lng latitude longitude year code card passport invoice ticket tracking \
    created updated ref rfc curp ssn pan aadhaar balance spent orders bestellung pedido rut cedula siret kvk nip \
    pesel inn инн";

/// What the name of a column says.
pub(super) fn kind_of(name: &str) -> ColumnKind {
    let words: Vec<String> = words_of(name);
    let joined = words.concat();
    let has_word = |list: &str| {
        list.split_whitespace()
            .any(|word| words.iter().any(|other| other == word))
    };
    let has_stem = |list: &str| list.split_whitespace().any(|stem| joined.contains(stem));
    if has_stem(FAX_STEMS) {
        return ColumnKind::Fax;
    }
    if has_word(ATTRIBUTE_WORDS) || has_stem(ATTRIBUTE_STEMS) {
        return ColumnKind::Other;
    }
    // In Brazil, CEP alone is the postal code; in Turkish names, it is followed by another word for phone.
    if joined == "cep" {
        return ColumnKind::Other;
    }
    let is_mobile = has_stem(MOBILE_STEMS) || has_word(MOBILE_WORDS);
    let is_whatsapp = has_stem(WHATSAPP_STEMS) || has_word(WHATSAPP_WORDS);
    let is_phone = has_stem(PHONE_STEMS)
        || has_word(PHONE_WORDS)
        || PHONE_NAMES.split_whitespace().any(|name| name == joined);
    if !(is_mobile || is_whatsapp || is_phone) {
        let is_other = has_word(OTHER_WORDS);
        return if is_other {
            ColumnKind::Other
        } else {
            ColumnKind::Unknown
        };
    }
    if has_word(OTHER_PERSON_WORDS) {
        ColumnKind::OtherPerson
    } else if has_word(DELIVERY_WORDS) {
        ColumnKind::Delivery
    } else if is_whatsapp {
        ColumnKind::Whatsapp
    } else if is_mobile {
        ColumnKind::Mobile
    } else if has_word(PLACE_WORDS) {
        ColumnKind::Place
    } else {
        ColumnKind::Phone
    }
}

/// The words of a name: lower case, without accents, split at punctuation and where a capital follows a small letter.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_is_lower = false;
    for c in name.chars() {
        let begins_word = c.is_uppercase() && previous_is_lower;
        if !c.is_alphanumeric() || begins_word {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase().filter_map(without_accent));
        }
        previous_is_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A small letter without its accent; nothing for one that stands alone.
fn without_accent(c: char) -> Option<char> {
    Some(match c {
        'á' | 'à' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' | 'ạ' => 'a',
        'é' | 'è' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' | 'ệ' => 'e',
        'í' | 'ì' | 'î' | 'ï' | 'ī' | 'ı' => 'i',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' | 'ō' | 'ộ' | 'ố' | 'ờ' => 'o',
        'ú' | 'ù' | 'û' | 'ü' | 'ű' | 'ů' | 'ū' => 'u',
        'ý' | 'ÿ' => 'y',
        'ñ' | 'ń' | 'ň' => 'n',
        'ç' | 'ć' | 'č' => 'c',
        'ş' | 'š' | 'ś' | 'ș' => 's',
        'ž' | 'ź' | 'ż' => 'z',
        'ł' => 'l',
        'ř' => 'r',
        'ğ' => 'g',
        'ť' | 'ț' => 't',
        'đ' | 'ď' => 'd',
        'ό' => 'ο',
        'έ' => 'ε',
        'ή' => 'η',
        'ά' => 'α',
        'ί' => 'ι',
        'ύ' => 'υ',
        'ώ' => 'ω',
        '\u{300}'..='\u{36f}' => return None,
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_column_is() {
        let cases: &[(ColumnKind, &[&str])] = &[
            (
                ColumnKind::Whatsapp,
                &[
                    "WhatsApp",
                    "Nomor WhatsApp",
                    "whatsapp_number",
                    "Nº WhatsApp",
                    "WA",
                ],
            ),
            (
                ColumnKind::Mobile,
                &[
                    "Mobile Phone",
                    "mobile",
                    "Celular",
                    "Teléfono móvil",
                    "Telemóvel",
                    "Handynummer",
                    "Mobilnummer",
                    "Téléphone portable",
                    "Cellulare",
                    "Telefon komórkowy",
                    "Cep Telefonu",
                    "No HP",
                    "Мобильный телефон",
                    "手机号",
                    "携帯電話",
                    "휴대폰",
                    "رقم الجوال",
                    "Κινητό",
                    "MobilePhone",
                    "Cell",
                    "Phone (mobile)",
                    "matkapuhelin",
                ],
            ),
            (
                ColumnKind::Phone,
                &[
                    "Phone",
                    "phone_number",
                    "Phone 1 - Value",
                    "Telefone",
                    "Teléfono",
                    "Téléphone",
                    "Tel.",
                    "Telefon",
                    "Billing Phone",
                    "Customer Phone",
                    "Телефон",
                    "电话",
                    "電話番号",
                    "number",
                    "To",
                    "Contact No.",
                    "msisdn",
                    "Số điện thoại",
                    "Tlf",
                    "Telefoonnummer",
                    "Puhelinnumero",
                    "Phone Number",
                ],
            ),
            (
                ColumnKind::Place,
                &[
                    "Home Phone",
                    "Business Phone",
                    "Telefon geschäftlich",
                    "Teléfono fijo",
                    "Work Phone 2",
                ],
            ),
            (
                ColumnKind::Delivery,
                &["Shipping Phone", "Default Address Phone"],
            ),
            (
                ColumnKind::OtherPerson,
                &[
                    "Emergency contact phone",
                    "Assistant's Phone",
                    "Store phone",
                ],
            ),
            (
                ColumnKind::Fax,
                &["Fax", "Business Fax", "Home Fax Phone", "Télécopie"],
            ),
            (
                ColumnKind::Other,
                &[
                    "Phone Type",
                    "Phone 1 - Label",
                    "Phone country code",
                    "Order ID",
                    "CEP",
                    "CPF",
                    "Customer ID",
                    "ZIP",
                    "Accepts SMS Marketing",
                    "Invoice",
                    "Extension",
                ],
            ),
            (
                ColumnKind::Unknown,
                &["Name", "Vorname", "Contact", "Ort", "", "column 7"],
            ),
        ];
        for (kind, names) in cases {
            for name in *names {
                assert_eq!(kind_of(name), *kind, "{name}");
            }
        }
    }
}
