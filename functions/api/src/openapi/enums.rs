//! Enums of the description: the names that the API uses for those of other crates.

use std::borrow::Cow;

use campaign::access::role::Role;
use campaign::contacts::contact::ConsentSource;
use campaign::delivery::ledger::State as RowState;
use campaign::import::value::OnBadValue;
use campaign::lifecycle::actions::Action;
use campaign::lifecycle::campaign::{
    AfterCanary, CampaignState, FileStage, OnUnconfirmed, OutsideServiceWindow, PausedBy,
};
use campaign::lifecycle::counters::FailureState;
use campaign::lifecycle::daily_window::Day;
use campaign::lifecycle::retry::RetryState;
use campaign::lifecycle::summary::RecipientStatus;
use cloud::jobs::JobStage;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Describes a string that is one of the names of an enum of another crate.
macro_rules! enum_schema {
    ($type:ident, $name:literal, $enum:ident { $($variant:ident),+ $(,)? } $(+ $extra:literal)?) => {
        #[doc = concat!("The schema of `", $name, "`.")]
        pub enum $type {}

        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                // Does not compile while a variant is missing from the list.
                const _: fn($enum) = |value| match value {
                    $($enum::$variant)|+ => (),
                };
                let names = [$(serialized($enum::$variant)),+];
                string_enum(names.into_iter()$(.chain([Value::from($extra)]))?)
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    };
}

enum_schema!(
    RoleName,
    "Role",
    Role {
        Viewer,
        Author,
        Sender,
        Admin
    }
);
enum_schema!(
    PausedByName,
    "PausedBy",
    PausedBy {
        Operator,
        Crier,
        AccountError
    }
);
enum_schema!(
    FailureStateName,
    "FailureState",
    FailureState {
        Rejected,
        Undelivered,
        Unconfirmed,
        Skipped,
    }
);
enum_schema!(
    ActionName,
    "Action",
    Action {
        Edit,
        SetOptions,
        Test,
        RequestApproval,
        GiveApproval,
        WithdrawApproval,
        Start,
        Pause,
        Resume,
        Continue,
        Cancel,
        AddFile,
        Retry,
        Report,
    }
);
enum_schema!(
    CampaignStateName,
    "CampaignState",
    CampaignState {
        AwaitingUpload,
        Validating,
        Ready,
        Scheduled,
        Enqueuing,
        Canary,
        Sending,
        Paused,
        Cancelled,
        Failed,
    } + "finished"
);
enum_schema!(
    FileStageName,
    "FileStage",
    FileStage {
        Pending,
        Reading,
        Validated,
        Enqueued,
        Failed
    }
);
enum_schema!(
    RetryStateName,
    "RetryState",
    RetryState {
        Rejected,
        Undelivered,
        Unconfirmed,
        Skipped,
        Accepted,
        Sent,
        Delivered,
        Read,
    }
);
enum_schema!(
    RecipientStatusName,
    "RecipientStatus",
    RecipientStatus {
        RejectedAtImport,
        Duplicate,
        Suppressed,
        Waiting,
        Claimed,
        Retry,
        Held,
        Accepted,
        Sent,
        Delivered,
        Read,
        Undelivered,
        Rejected,
        Unconfirmed,
        Skipped,
    }
);
enum_schema!(
    RowStateName,
    "RowState",
    RowState {
        Claimed,
        Retry,
        Held,
        Accepted,
        Rejected,
        Unconfirmed,
        Skipped,
    }
);
enum_schema!(
    JobStateName,
    "JobState",
    JobStage {
        Requested,
        Running,
        Done,
        Failed
    }
);
enum_schema!(
    OnUnconfirmedName,
    "OnUnconfirmed",
    OnUnconfirmed { Leave, Resend }
);
enum_schema!(
    OutsideServiceWindowName,
    "OutsideServiceWindow",
    OutsideServiceWindow { Skip, Send }
);
enum_schema!(
    AfterCanaryName,
    "AfterCanary",
    AfterCanary {
        Wait,
        ContinueIfClean
    }
);
enum_schema!(
    DayName,
    "Day",
    Day {
        Monday,
        Tuesday,
        Wednesday,
        Thursday,
        Friday,
        Saturday,
        Sunday,
    }
);
enum_schema!(OnBadValueName, "OnBadValue", OnBadValue { Clean, Reject });
enum_schema!(
    ConsentSourceName,
    "ConsentSource",
    ConsentSource {
        Operator,
        Text,
        Button,
        Preferences,
        Refusal,
        Moved,
        Erasure,
    }
);

/// How an inbound message was attributed to a row.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Attribution {
    /// It quotes that row's message.
    Context,
    /// The campaign's message is the latest that the sender of this message received.
    Latest,
}

fn serialized(variant: impl Serialize) -> Value {
    serde_json::to_value(variant).unwrap_or_default()
}

fn string_enum(names: impl Iterator<Item = Value>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .into()
}
