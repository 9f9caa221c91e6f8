/** Where the Temporal server is. Apart from `connection.ts`, which loads the whole SDK (0.6 s, 40 MB). */
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';

/**
 * Address, namespace, TLS and API key from TEMPORAL_* variables and, where there is one, Temporal's
 * own TOML file (docs.temporal.io/develop/environment-configuration).
 */
export function temporalConfig(environment: NodeJS.ProcessEnv): ClientConnectConfig {
  const overrideEnvVars: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined) overrideEnvVars[name] = value;
  }
  return loadClientConnectConfig({ overrideEnvVars });
}
