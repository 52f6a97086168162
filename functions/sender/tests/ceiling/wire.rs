//! A run in real time: the sender's loop with the client that production has, over TLS to the simulated Cloud API, which
//! measures when the first byte of each request arrives. Queues and tables stay virtual.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::outcome::{ErrorClass, Outcome};
use campaign::delivery::pacing::Rate;
use campaign::id::CorrelationId;
use secrecy::SecretString;
use sender::send_backend::{Departure, DepartureSignal, PendingSend};
use simulator::Simulator;
use simulator::settings::Settings;
use tokio::runtime::Builder;
use whatsapp::client::Client;
use whatsapp::message;

use crate::backend::Answer;
use crate::lambda;
use crate::run::{busiest_second, share_of_budget};
use crate::scenario::Scenario;
use crate::virtual_aws::VirtualAws;

/// The file with the certificate that both ends know. The client reads it wherever it runs; only tests set it.
const AUTHORITY_FILE: &str = "SSL_CERT_FILE";

/// What a run showed, by the first byte of each request at the Cloud API.
#[derive(Debug)]
pub(crate) struct WireMeasurement {
    pub(crate) busiest_second: usize,
    pub(crate) repeats: usize,
    pub(crate) use_after_ramp: f64,
}

/// Sends for a minute after the ramp: 3 % of the responses take 5 to 10 s, 1 % of the connections are reset after a
/// response, and each is closed after 50 requests.
pub(crate) fn run_over_tls(rate: Rate, handshake_ms: u32) -> WireMeasurement {
    let settings = Settings {
        handshake_ms: handshake_ms.into(),
        slow_share: 0.03,
        reset_share: 0.01,
        requests_per_connection: 50,
        throughput: 100_000,
        ..Settings::default()
    };
    let scenario = Scenario::faultless(rate, 60 * rate.budget(), 300).with_ramp();
    // A thread of its own, so that it takes arrival times while senders compute.
    let server = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (simulator, url) = server.block_on(async {
        let mut simulator = Simulator::start(0, settings).await.unwrap();
        let authority = std::env::var(AUTHORITY_FILE)
            .expect("no SSL_CERT_FILE: run `cargo xtask verify --only wire`");
        let url = simulator.start_tls(0, Path::new(&authority)).await.unwrap();
        (simulator, url)
    });
    let senders = Builder::new_current_thread().enable_all().build().unwrap();
    senders.block_on(async {
        let aws = VirtualAws::new(scenario, Some(url));
        lambda::run_until_all_settled(aws).await;
    });
    measure(&scenario, handshake_ms, &simulator)
}

fn measure(scenario: &Scenario, handshake_ms: u32, simulator: &Simulator) -> WireMeasurement {
    let calls = simulator.state.calls();
    let mut times: Vec<_> = calls
        .iter()
        .map(|call| Duration::from_micros(call.at_us))
        .collect();
    times.sort_unstable();
    let ramp_ends = times[0] + scenario.ramp() + Duration::from_secs(2);
    let measured = WireMeasurement {
        busiest_second: busiest_second(&times),
        repeats: simulator.state.stats().repeats,
        use_after_ramp: share_of_budget(scenario.rate, &times, ramp_ends).unwrap(),
    };
    println!(
        "{:>5} calls over TLS, {} slots × {}, handshakes of {handshake_ms:>3} ms: busiest second {} of {}, {:.1} % used after the ramp, {:.1} % in all",
        times.len(),
        scenario.rate.slots,
        scenario.rate.per_slot,
        measured.busiest_second,
        scenario.rate.budget(),
        measured.use_after_ramp * 100.0,
        share_of_budget(scenario.rate, &times, times[0]).unwrap() * 100.0,
    );
    measured
}

pub(crate) fn new_client(url: &str, rate: Rate) -> Client {
    let phone_number_id = Settings::default().phone_number_id;
    Client::new(url, "v25.0", &phone_number_id, rate.per_slot).unwrap()
}

/// Sends a message over TLS.
pub(crate) async fn send(
    client: &Client,
    aws: &Arc<VirtualAws>,
    pending: &PendingSend,
    departure: &DepartureSignal,
) -> Answer {
    let correlation_id = CorrelationId {
        campaign: pending.campaign.id.clone(),
        row: pending.row.row,
        attempt: pending.attempt,
    };
    let filled = pending.campaign.message.fill(&pending.row.values);
    let request = message::build_request(filled, pending.row.to, &correlation_id);
    let token = SecretString::from(Settings::default().access_token);
    let (aws, row, departure) = (Arc::clone(aws), pending.row.row, departure.clone());
    let on_departure = Arc::new(move || {
        aws.record_send(row);
        departure.send(Departure::OnTheWire);
    });
    let sent = client.send(&token, &request, pending.leave_by, on_departure);
    match sent.await {
        Err(_) => Answer::NoConnection,
        Ok(Outcome::Accepted(_)) => Answer::Accepted,
        Ok(Outcome::NotSent(_)) => Answer::NotSent,
        Ok(Outcome::Unconfirmed(_)) => Answer::Unconfirmed,
        Ok(Outcome::Refused(refusal)) => Answer::Refused {
            throttled: matches!(refusal.class, ErrorClass::Retry(_)),
        },
    }
}
