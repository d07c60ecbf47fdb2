/**
 * Both halves as PM2 services: `pm2 start ecosystem.config.cjs --only ndn-registry-server` on the registry host,
 * `--only ndn-registry-client` on a puller. Options come from `.env` (see sample.env).
 */
const { existsSync } = require("node:fs");
const path = require("node:path");

// Node 24 runs TypeScript; the machine's own may be older. It is a development dependency: absent after --omit=dev.
const ownNode = path.join(__dirname, "node_modules/.bin/node");
const interpreter = existsSync(ownNode) ? ownNode : "node";

/** One verb of the command line as a service. */
function service(verb) {
  return {
    name: `ndn-registry-${verb}`,
    cwd: __dirname,
    script: "cli/main.js",
    args: verb,
    interpreter,
    interpreter_args: "--env-file-if-exists=.env",
    exec_mode: "fork",
    autorestart: true,
    exp_backoff_restart_delay: 1_000,
    stop_exit_codes: [2], // a bad option does not get better by starting again
    kill_timeout: 25_000,
  };
}

module.exports = { apps: [service("server"), service("client")] };
