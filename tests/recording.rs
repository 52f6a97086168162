//! Outcomes of sends are recorded however long that takes.

use campaign::delivery::ledger::State;
use campaign::lifecycle::campaign::CampaignState;

use crate::harness::TestEnv;

/// More than the SDK would try.
const REFUSALS: usize = 4;

/// A send to this number is accepted; one to `+1 202 555 01xx` ends as `simulator::magic_numbers` says.
const ACCEPTED: &str = "+5511987654321";

/// Sends one row while updates with `text` in them are refused as throttled. Gives the row's state and its campaign's.
async fn send_throttled(
    env: &TestEnv,
    to: &str,
    text: &'static str,
    refusals: usize,
) -> (State, CampaignState) {
    let tables = env.throttled_tables(text, refusals).await;
    let id = env.enqueue_row_to(to).await;
    env.deliver_next(&env.sender_with_tables(&tables)).await;
    assert_eq!(tables.refusals_left(), 0, "{to} {text}");
    (env.row_state(&id, 1).await, env.campaign_state(&id).await)
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn throttled_ledger_changes_no_outcome() {
    let env = TestEnv::new().await;
    for (to, text, expected) in [
        (ACCEPTED, "state = :accepted", State::Accepted),
        ("+12025550120", "state = :rejected", State::Rejected),
        ("+12025550110", "state = :retry", State::Retry),
        ("+12025550102", "state = :unconfirmed", State::Unconfirmed),
        ("+12025550140", "state = :held", State::Held),
    ] {
        let (state, _) = send_throttled(&env, to, text, REFUSALS).await;
        assert_eq!(state, expected, "{to}");
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn throttled_campaign_changes_no_outcome() {
    let env = TestEnv::new().await;
    // The pause is repeated.
    let (state, campaign) = send_throttled(&env, "+12025550140", "\"paused\"", REFUSALS).await;
    assert_eq!((state, campaign), (State::Held, CampaignState::Paused));
    // So is the cooldown.
    let (state, _) = send_throttled(&env, "+12025550116", "cooldown = :cooldown", REFUSALS).await;
    assert_eq!(state, State::Retry);
    // That the campaign has an acceptance is left to the next one.
    let (state, _) = send_throttled(&env, ACCEPTED, "has_acceptance", 1).await;
    assert_eq!(state, State::Accepted);
}
