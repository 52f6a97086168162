//! What happens to the whole of Crier once in a life: a service is not available for a while, Meta refuses everything, another
//! rate is deployed, the access token is replaced.

use std::ops::Range;
use std::rc::Rc;

use serde_json::json;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::outage::Outage;
use crate::profile::Profile;
use crate::world::World;

/// How long Meta refuses everything, in milliseconds.
const ACCOUNT_ERROR_MS: [Range<u64>; 3] = [500..3_000, 3_000..20_000, 20_000..200_000];

/// Lets happen what the profile has.
pub(crate) fn start(world: &World, profile: &Profile) {
    if let Some(outage) = profile.outage.clone() {
        start_outage(world, profile, outage);
    }
    if let Some(code) = profile.account_error {
        let (meta, random) = (world.meta.clone(), world.random.fork("account"));
        spawn_local(async move {
            sleep(random.millis(60_000..240_000)).await;
            meta.refuse(Some(code));
            sleep(random.millis(random.pick(&ACCOUNT_ERROR_MS).clone())).await;
            meta.refuse(None);
        });
    }
    if let Some(rate) = profile.next_rate {
        let (lambda, sources) = (world.lambda.clone(), Rc::clone(&world.sources));
        let delay = world.random.fork("deployment").millis(30_000..600_000);
        spawn_local(async move {
            sleep(delay).await;
            let old = lambda.rate();
            lambda.deploy(rate);
            sources.start_senders(old.slots, rate);
        });
    }
    if profile.replaces_token {
        replace_token(world);
    }
}

fn start_outage(world: &World, profile: &Profile, outage: Outage) {
    let aws = world.aws.clone();
    let mut services = profile.services.iter();
    let usual = services.find(|(service, _)| *service == outage.service);
    let usual = usual.map(|(_, rates)| *rates).unwrap_or_default();
    let storm = profile.storm;
    spawn_local(async move {
        sleep(outage.begins).await;
        aws.faults().set(outage.service, outage.rates);
        let rest = storm.saturating_sub(outage.begins);
        sleep(outage.lasts.min(rest)).await;
        // After the storm everything is well.
        if outage.lasts < rest {
            aws.faults().set(outage.service, usual);
        }
    });
}

/// Meta takes only the new token from now on; the secret has it a little earlier or later.
fn replace_token(world: &World) {
    let (aws, meta) = (world.aws.clone(), world.meta.clone());
    let random = world.random.fork("token");
    spawn_local(async move {
        let token = format!("token {}", random.number());
        let is_early = random.chance(0.3);
        sleep(random.millis(30_000..400_000)).await;
        let secret = |token: &str| {
            let text = aws.secrets().get();
            let mut secret: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            secret["access_token"] = token.into();
            aws.secrets().set(&secret.to_string());
        };
        if is_early {
            secret(&token);
            sleep(random.millis(0..10_000)).await;
        }
        meta.change_settings(&json!({"access_token": token}));
        if !is_early {
            sleep(random.millis(0..120_000)).await;
            secret(&token);
        }
    });
}
