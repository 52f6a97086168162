//! Runs the simulator, by hand or for `cargo xtask`.

use std::path::PathBuf;

use clap::Parser;
use simulator::Simulator;
use simulator::settings::Settings;

/// A WhatsApp Cloud API for one machine
#[derive(Debug, Parser)]
struct Options {
    /// Port to listen on; 0 for any free one
    #[arg(long, default_value_t = 4590)]
    port: u16,
    /// Serve HTTPS, too, on this port; 0 for any free one
    #[arg(long, requires = "tls_authority")]
    tls_port: Option<u16>,
    /// File for the certificate of the authority that HTTPS clients must trust
    #[arg(long)]
    tls_authority: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let mut simulator = Simulator::start(options.port, options.settings).await?;
    let url = simulator.url();
    eprintln!("simulated Cloud API at {url}, statistics at {url}/_control/stats");
    if let (Some(port), Some(file)) = (options.tls_port, &options.tls_authority) {
        let url = simulator.start_tls(port, file).await?;
        eprintln!("with TLS at {url}");
    }
    tokio::select! {
        result = simulator.wait() => result,
        result = tokio::signal::ctrl_c() => result,
    }
}
