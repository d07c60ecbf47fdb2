/**
 * The metrics of a program: at first those of its process (`process_*`) and of Node (`nodejs_*`).
 */
import { collectDefaultMetrics, Registry } from "prom-client";

/** Make the registry that the parts of a program define their metrics in; once per process. */
export function programMetrics(): Registry {
  const register = new Registry();
  collectDefaultMetrics({ register });
  return register;
}
