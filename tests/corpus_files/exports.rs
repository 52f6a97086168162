//! Exports of CRMs, shops, contact apps and lists kept by hand, as they are: which column has the numbers is for the import to
//! find out. The headers are those of the products, as their exports and documentation have them; the people are invented.

use super::case::{Case, case};

/// Mobile numbers.
const ANA: &str = "+5511987654321";
const BO: &str = "+34612345678";
const EVE: &str = "+4915123456789";

/// An export whose message needs none of its columns.
fn export(file: &'static str, lines: &[&str]) -> Case {
    case(file, lines.join("\n")).text("Hi")
}

impl Case {
    /// Somebody at this number, whose name does not matter.
    fn reaches(self, row: u32, to: &str) -> Self {
        self.recipient(row, to, "")
    }
}

pub(super) fn export_cases() -> Vec<Case> {
    [
        crms(),
        shops(),
        contact_apps(),
        marketing(),
        other_languages(),
        lists_with_second_phones(),
        lists_with_odd_lines(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn crms() -> Vec<Case> {
    vec![
        export("crm-hubspot.csv", &[
            "Record ID,First Name,Last Name,Email,Phone Number,Mobile Phone Number,Contact owner,Lead Status,Create Date,Country/Region",
            "51237,Ana,Silva,ana@example.com,+55 11 3333-4444,+55 11 98765-4321,Rui Costa,New,2026-03-02 10:11,Brazil",
            "51238,Bo,Ruiz,bo@example.com,+34 912 345 678,+34 612 345 678,Rui Costa,Open,2026-03-05 09:20,Spain",
        ]).reaches(1, ANA).reaches(2, BO),
        export("crm-salesforce-report.csv", &[
            r#""First Name","Last Name","Title","Account Name","Phone","Mobile","Fax","Email","Lead Source","Account Owner""#,
            r#""Ana","Silva","CTO","Acme","+55 11 3333-4444","+55 11 98765-4321","+55 11 3333-4445","ana@example.com","Web","R Costa""#,
            r#""Bo","Ruiz","CFO","Beta","+34 912 345 678","","+34 912 345 679","bo@example.com","Web","R Costa""#,
            r#""Eve","Braun","CEO","Ceta","+49 30 12345678","+49 151 23456789","","eve@example.com","Fair","R Costa""#,
        ]).reaches(1, ANA).rejected(2, "Mobile", "is empty").reaches(3, EVE),
        export("crm-salesforce-data-export.csv", &[
            r#""Id","IsDeleted","AccountId","LastName","FirstName","Phone","Fax","MobilePhone","HomePhone","OtherPhone","AssistantPhone""#,
            r#""0035e00000AbCdE","0","0015e00000XyZ12","Silva","Ana","1133334444","1133334445","11987654321","1133334446","","1133334447""#,
        ]).default_region("BR").reaches(1, ANA),
        export("crm-zoho.csv", &[
            "Record Id,Contact Owner,First Name,Last Name,Email,Phone,Mobile,Fax,Assistant,Asst Phone,Home Phone,Other Phone,Created Time",
            "zcrm_4876876000000123456,Rui,Ana,Silva,ana@example.com,+551133334444,+5511987654321,+551133334445,Lia,+5511911111111,,,2026-01-02 10:00:00",
        ]).reaches(1, ANA),
        export("crm-pipedrive.csv", &[
            "Person - Name,Person - Label,Person - Phone - Work,Person - Phone - Home,Person - Phone - Mobile,Person - Phone - Other,Person - Email - Work,Person - Owner",
            "Ana Silva,Customer,+551133334444,,+5511987654321,,ana@example.com,Rui",
            "Bo Ruiz,Customer,+34912345678,+34912345679,+34612345678,,bo@example.com,Rui",
        ]).reaches(1, ANA).reaches(2, BO),
        export("crm-odoo.csv", &[
            r#""Name","Phone","Mobile","Email","Salesperson","Activities","City","Country","Company""#,
            r#""Ana Silva","+55 11 3333-4444","+55 11 98765-4321","ana@example.com","Rui","","São Paulo","Brazil","""#,
        ]).reaches(1, ANA),
        export("crm-freshsales.csv", &[
            "First name,Last name,Job title,Work,Mobile,Email,Sales owner,Lifecycle stage",
            "Ana,Silva,CTO,+551133334444,+5511987654321,ana@example.com,Rui,Customer",
        ]).reaches(1, ANA),
        export("crm-bitrix24.csv", &[
            "ID;Имя;Фамилия;Рабочий телефон;Мобильный телефон;Домашний телефон;Номер факса;Рабочий e-mail;Дата создания",
            "12;Анна;Иванова;+7 495 123-45-67;+7 916 123-45-67;;+7 495 123-45-68;anna@example.com;02.03.2026 10:11:12",
        ]).reaches(1, "+79161234567"),
        export("crm-mindbody.csv", &[
            "ID,Last Name,First Name,Mobile Phone,Home Phone,Work Phone,Emergency Contact Name,Emergency Contact Phone,Birthdate",
            "100000123,Silva,Ana,(11) 98765-4321,(11) 3333-4444,,Lia,(11) 91111-1111,1990-02-03",
            "100000124,Souza,Tom,,(11) 3333-4445,,Lia,(11) 91111-1112,1990-02-04",
        ]).default_region("BR").reaches(1, ANA).rejected(2, "Mobile Phone", "is empty"),
        export("crm-rd-station.csv", &[
            "Email,Nome,Telefone,Celular,Empresa,Cargo,Estado,Tags,Data da primeira conversão",
            "ana@example.com,Ana Silva,(11) 3333-4444,(11) 98765-4321,Acme,CTO,SP,lead,2026-03-02 10:11:12 -0300",
        ]).default_region("BR").reaches(1, ANA),
    ]
}

fn shops() -> Vec<Case> {
    vec![
        export("shop-shopify-customers.csv", &[
            "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Address1,Default Address City,Default Address Zip,Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Total Orders,Note,Tax Exempt,Tags",
            "'7213456789012,Ana,Silva,ana@example.com,yes,,Rua A 1,São Paulo,'01310-100,'+5511911111111,'+5511987654321,yes,129.90,3,,no,vip",
            "'7213456789013,Bo,Ruiz,bo@example.com,no,,Calle B 2,Madrid,'28001,'+34611111111,'+34612345678,no,0.00,0,,no,",
        ]).reaches(1, ANA).reaches(2, BO),
        export("shop-shopify-customers-address-phones.csv", &[
            "Customer ID,First Name,Last Name,Email,Default Address Zip,Default Address Phone,Phone,Accepts SMS Marketing,Total Orders",
            "'7213456789012,Ana,Silva,ana@example.com,'01310-100,'+5511987654321,,no,3",
            "'7213456789013,Bo,Ruiz,bo@example.com,'28001,'+34612345678,,no,0",
            "'7213456789014,Eve,Braun,eve@example.com,'10115,'+4915123456789,'+4915123456789,no,1",
        ]).reaches(1, ANA).reaches(2, BO).reaches(3, EVE),
        export("shop-shopify-orders.csv", &[
            "Name,Email,Financial Status,Paid at,Total,Billing Name,Billing Zip,Billing Phone,Shipping Name,Shipping Zip,Shipping Phone,Id,Phone",
            "#1001,ana@example.com,paid,2026-03-02 10:11:12 -0300,129.90,Ana Silva,'01310-100,+5511987654321,Lia Silva,'01310-200,+5511911111111,5213456789012,",
            "#1002,bo@example.com,paid,2026-03-02 11:11:12 -0300,29.90,Bo Ruiz,'28001,+34612345678,Bo Ruiz,'28001,+34612345678,5213456789013,",
        ]).reaches(1, ANA).reaches(2, BO),
        export("shop-woocommerce.csv", &[
            "order_id,order_number,order_date,status,billing_first_name,billing_last_name,billing_postcode,billing_email,billing_phone,shipping_first_name,shipping_phone,order_total",
            "5511987650001,5511987650001,2026-03-02 10:11:12,completed,Ana,Silva,01310100,ana@example.com,5511987654321,Lia,5511911111111,129.90",
        ]).reaches(1, ANA),
        export("shop-prestashop.csv", &[
            "ID;Prénom;Nom;Adresse email;Adresse;Code postal;Ville;Téléphone;Téléphone mobile;Date de naissance",
            "12;Anne;Petit;anne@example.com;1 rue A;75001;Paris;01 23 45 67 89;06 12 34 56 78;1990-02-03",
            "13;Jean;Grand;jean@example.com;2 rue B;69001;Lyon;;06 12 34 56 79;1985-02-03",
        ]).default_region("FR").reaches(1, "+33612345678").reaches(2, "+33612345679"),
        export("shop-nuvemshop.csv", &[
            "Nome;E-mail;Telefone;CPF / CNPJ;Cidade;CEP;Total consumido;Quantidade de compras;Última compra",
            "Ana Silva;ana@example.com;+5511987654321;12345678909;São Paulo;01310100;129,90;3;02/03/2026",
        ]).reaches(1, ANA),
        export("shop-bling.csv", &[
            "ID;Código;Nome;Fantasia;Endereço;CEP;Cidade;UF;Fone;Fax;Celular;E-mail;CNPJ / CPF;Data nascimento",
            "16123456789;77;Ana Silva;;Rua A;01310-100;São Paulo;SP;(11) 3333-4444;(11) 3333-4445;(11) 98765-4321;ana@example.com;123.456.789-09;03/02/1990",
        ]).default_region("BR").reaches(1, ANA),
        export("shop-square.csv", &[
            "Reference ID,First Name,Last Name,Email Address,Phone Number,Nickname,Company Name,Street Address 1,Postal Code,Birthday,Memo,First Visit,Transaction Count,Square Customer ID",
            "2025550100,Amy,Lee,amy@example.com,'+12025550143,,,1 Main St,20001,,,2026-03-02,4,9Q8X7C6V5B4N3M2A",
        ]).reaches(1, "+12025550143"),
        export("shop-baselinker.csv", &[
            "\"Nr zamówienia\";\"Data\";\"Imię i nazwisko\";\"E-mail\";\"Telefon\";\"Kod pocztowy\";\"NIP\";\"Kwota\"",
            "\"123456789\";\"02.03.2026\";\"Anna Nowak\";\"anna@example.com\";\"512 345 678\";\"00-001\";\"5261040828\";\"129,90\"",
        ]).default_region("PL").reaches(1, "+48512345678"),
    ]
}

fn contact_apps() -> Vec<Case> {
    vec![
        export("contacts-google.csv", &[
            "First Name,Middle Name,Last Name,Phonetic First Name,Phonetic Middle Name,Nickname,Organization Name,Birthday,Notes,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value",
            "Ana,,Silva,,,,,,,* myContacts,Home,ana@example.com,Mobile,+55 11 98765-4321,Work,+55 11 3333-4444",
            "Bo,,Ruiz,,,,,,,* myContacts,,,Mobile,+34 612 345 678 ::: +34 611 111 111,,",
            "Eve,,Braun,,,,,,,* myContacts,,,,+49 151 23456789,,",
        ]).reaches(1, ANA).rejected(2, "Phone 1 - Value", "more than one number").reaches(3, EVE),
        export("contacts-google-old.csv", &[
            "Name,Given Name,Family Name,Group Membership,E-mail 1 - Type,E-mail 1 - Value,Phone 1 - Type,Phone 1 - Value,Phone 2 - Type,Phone 2 - Value",
            "Ana Silva,Ana,Silva,* myContacts,* Home,ana@example.com,Mobile,+5511987654321,Work,+551133334444",
        ]).reaches(1, ANA),
        export("contacts-outlook.csv", &[
            "First Name,Middle Name,Last Name,Title,E-mail Address,Home Phone,Home Phone 2,Business Phone,Business Phone 2,Mobile Phone,Car Phone,Other Phone,Primary Phone,Pager,Business Fax,Home Fax,Other Fax,Company Main Phone,Callback,Radio Phone,Telex,TTY/TDD Phone,Assistant's Phone,Account",
            "Ana,,Silva,,ana@example.com,+551133334444,,+551133334446,,+5511987654321,,,,,+551133334445,,,+551133334440,,,,,+5511911111111,",
            "Bo,,Ruiz,,bo@example.com,,,+34912345678,,+34612345678,,,,,+34912345679,,,,,,,,,",
        ]).reaches(1, ANA).reaches(2, BO),
        export("contacts-outlook-de.csv", &[
            "Vorname;Nachname;Firma;Straße geschäftlich;Postleitzahl geschäftlich;Telefon geschäftlich;Telefon privat;Mobiltelefon;Fax geschäftlich;E-Mail-Adresse;Geburtstag",
            "Eva;Braun;Ceta;A-Weg 1;10115;030 12345678;030 87654321;0151 23456789;030 12345679;eva@example.com;3.2.1990",
        ]).default_region("DE").reaches(1, EVE),
        export("contacts-outlook-es.csv", &[
            "Nombre;Apellidos;Organización;Código postal del trabajo;Teléfono del trabajo;Particular: teléfono;Teléfono móvil;Fax del trabajo;Dirección de correo electrónico",
            "Bo;Ruiz;Beta;28001;912 345 678;912 345 679;612 345 678;912 345 670;bo@example.com",
        ]).default_region("ES").reaches(1, BO),
        export("contacts-phone-without-header.csv", &["Ana Silva,+55 11 98765-4321", "Bo Ruiz,+34 612 345 678"]).reaches(1, ANA).reaches(2, BO),
    ]
}

fn marketing() -> Vec<Case> {
    vec![
        export("marketing-mailchimp.csv", &[
            "Email Address,First Name,Last Name,Address,Phone Number,Birthday,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,LATITUDE,LONGITUDE,LEID,EUID,TAGS",
            "ana@example.com,Ana,Silva,Rua A 1,+55 11 98765-4321,02/03,2,2026-03-02 10:11:12,198.51.100.7,-23.5505200,-46.6333090,412345678,ab12cd34ef,vip",
        ]).reaches(1, ANA),
        export("marketing-klaviyo.csv", &[
            "Email,Klaviyo ID,First Name,Last Name,Phone Number,Address,Zip Code,Email Marketing Consent,SMS Marketing Consent,SMS Marketing Consent Timestamp,Last Open",
            "ana@example.com,01HXYZABCDEF,Ana,Silva,+5511987654321,Rua A 1,01310-100,SUBSCRIBED,SUBSCRIBED,2026-03-02 10:11:12,2026-03-05",
        ]).reaches(1, ANA),
        export("marketing-brevo.csv", &[
            "CONTACT ID;EMAIL;FIRSTNAME;LASTNAME;SMS;WHATSAPP;EMAIL_BLOCKLISTED;SMS_BLOCKLISTED;ADDED_TIME",
            "5511987650;ana@example.com;Ana;Silva;551133334444;5511987654321;0;0;02-03-2026",
        ]).reaches(1, ANA),
        export("marketing-brevo-sms.csv", &[
            "CONTACT ID;EMAIL;FIRSTNAME;SMS;EMAIL_BLOCKLISTED;SMS_BLOCKLISTED",
            "11987650;ana@example.com;Ana;5511987654321;0;0",
        ]).reaches(1, ANA),
        export("marketing-meta-lead-ads.csv", &[
            "id,created_time,ad_id,ad_name,form_id,form_name,is_organic,platform,full_name,phone_number,lead_status",
            "l:1213456789012345,2026-03-02T10:11:12-03:00,ag:120210987654321098,Ad,f:987654321098765,Form,false,ig,Ana Silva,p:+5511987654321,CREATED",
        ]).reaches(1, ANA),
        export("marketing-wix.csv", &[
            "First Name,Last Name,Email 1,Email 2,Phone 1,Phone 2,Address 1 - Zip,Labels,Created At (UTC+0),Email subscriber status,SMS subscriber status",
            "Ana,Silva,ana@example.com,,'+5511987654321,'+551133334444,01310-100,Customers,2026-03-02 10:11,Subscribed,Never subscribed",
        ]).reaches(1, ANA),
        export("marketing-typeform.csv", &[
            "#,What's your name?,What is your WhatsApp number?,How did you hear about us?,Start Date (UTC),Submit Date (UTC),Network ID",
            "a1b2c3,Ana,+5511987654321,Friends,2026-03-02 10:11:12,2026-03-02 10:12:12,1a2b3c4d5e",
        ]).reaches(1, ANA),
    ]
}

fn other_languages() -> Vec<Case> {
    vec![
        export("shop-chinese.csv", &["客户姓名,手机号,固定电话,身份证号,注册时间", "王芳,13812345678,010-12345678,110101199003071234,2026-03-02 10:11:12"])
            .default_region("CN").reaches(1, "+8613812345678"),
        export("crm-japanese.csv", &["氏名,郵便番号,住所,電話番号,携帯電話番号,FAX番号", "山田花子,100-0001,東京都,03-1234-5678,090-1234-5678,03-1234-5679"])
            .default_region("JP").reaches(1, "+819012345678"),
        export("crm-korean.csv", &["이름,전화번호,휴대폰,이메일", "김하나,02-312-3456,010-1234-5678,hana@example.com"]).default_region("KR").reaches(1, "+821012345678"),
        export("list-arabic.csv", &["الاسم,المدينة,رقم الجوال", "نورة,الرياض,0501234567"]).default_region("SA").reaches(1, "+966501234567"),
        export("list-indonesian.csv", &["No,Nama,Alamat,No HP,NIK", "1,Ani,Jakarta,0812-3456-7890,3171234567890001"]).default_region("ID").reaches(1, "+6281234567890"),
        export("crm-turkish.csv", &["Ad Soyad;Şehir;Telefon;Cep Telefonu;Faks;Vergi No", "Ayşe Yılmaz;İstanbul;0212 345 67 89;0532 123 45 67;0212 345 67 80;1234567890"])
            .default_region("TR").reaches(1, "+905321234567"),
        export("crm-indian.csv", &["Customer Name,Mobile No.,Alternate Mobile No.,PAN,Pincode,Total Due", "Asha Rao,9812345678,9812345679,ABCDE1234F,560001,12500.00"])
            .default_region("IN").reaches(1, "+919812345678"),
        export("erp-german.csv", &["Kunden-Nr.;Anrede;Vorname;Nachname;Straße;PLZ;Ort;Telefon;Mobil;Telefax;E-Mail;USt-IdNr.", "10023;Frau;Eva;Braun;A-Weg 1;10115;Berlin;030/12345678;0151/23456789;030/12345679;eva@example.com;DE123456789"])
            .default_region("DE").reaches(1, EVE),
    ]
}

fn lists_with_second_phones() -> Vec<Case> {
    let second_phones: &[&str] = &[
        "Client,Mobile,Other phone",
        "Ana,+55 11 98765-4321,",
        "Bo,,+34 612 345 678",
        "Eve,+49 151 23456789,+49 30 12345678",
    ];
    vec![
        export("list-second-phone.csv", second_phones)
            .reaches(1, ANA)
            .rejected(2, "Mobile", "is empty")
            .reaches(3, EVE),
        export("list-second-phone-stands-in.csv", second_phones)
            .with_options(|options| {
                options.phone_columns = vec!["Mobile".into(), "Other phone".into()]
            })
            .reaches(1, ANA)
            .reaches(2, BO)
            .reaches(3, EVE),
    ]
}

fn lists_with_odd_lines() -> Vec<Case> {
    vec![
        export(
            "list-with-notes-below.csv",
            &[
                "Name,Contact,City",
                "Ana,+55 11 98765-4321,Rio",
                "Bo,+34 612 345 678,Madrid",
                ",,",
                "Total: 2 customers,,",
                "Exported on 2026-03-02 by Rui,,",
            ],
        )
        .reaches(1, ANA)
        .reaches(2, BO)
        .rejected(3, "Contact", "is empty")
        .rejected(4, "Contact", "is empty"),
        export(
            "list-columns-without-names.csv",
            &["Ana;11 98765-4321;x", "Bo;11 98765-4322;y"],
        )
        .default_region("BR")
        .text("Hi {{column_1}}")
        .recipient(1, ANA, "Ana")
        .recipient(2, "+5511987654322", "Bo"),
        export(
            "list-header-said-to-be-missing.csv",
            &["who,where", "+5511987654321,Rio", "+34612345678,Madrid"],
        )
        .with_options(|options| options.header = Some(false))
        .rejected(1, "column_1", "not a phone number")
        .reaches(2, ANA)
        .reaches(3, BO),
        export(
            "list-unnamed-phone-column.csv",
            &[
                "Customer,,Amount due",
                "Ana,5511987654321,1234567.89",
                "Bo,34612345678,2234567.10",
            ],
        )
        .reaches(1, ANA)
        .reaches(2, BO),
    ]
}
