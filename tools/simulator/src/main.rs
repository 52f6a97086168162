//! The simulator, to be run by hand or by `cargo xtask`.

use clap::Parser;
use simulator::Simulator;
use simulator::settings::Settings;

/// A WhatsApp Cloud API for one machine
#[derive(Debug, Parser)]
struct Options {
    /// Port to listen on; 0 for any free one
    #[arg(long, default_value_t = 4590)]
    port: u16,
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let simulator = Simulator::start(options.port, options.settings).await?;
    eprintln!(
        "simulated Cloud API at {}, call log at {}/_control/call-log",
        simulator.url(),
        simulator.url()
    );
    tokio::select! {
        ended = simulator.wait() => ended,
        stopped = tokio::signal::ctrl_c() => stopped,
    }
}
