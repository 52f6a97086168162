//! Runs the simulator, by hand or for `cargo xtask`.

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
    let url = simulator.url();
    eprintln!("simulated Cloud API at {url}, statistics at {url}/_control/stats");
    tokio::select! {
        result = simulator.wait() => result,
        result = tokio::signal::ctrl_c() => result,
    }
}
