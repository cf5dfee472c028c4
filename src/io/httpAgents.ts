import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { getCACertificates } from 'node:tls';

/** A proxy's URL, `direct` for none, or undefined for what http_proxy, https_proxy and no_proxy say. */
export type ProxyChoice = string | undefined;

const agents = new Map<string, HttpAgent | HttpsAgent>();

/**
 * The connection pool for a protocol and a proxy. One per process and choice, so that connections are
 * reused. Node's own proxy support does the work; it reads the variables in either case.
 */
export function agentFor(protocol: string, proxy: ProxyChoice): HttpAgent | HttpsAgent {
  const key = `${protocol} ${proxy ?? ''}`;
  let agent = agents.get(key);
  if (agent === undefined) {
    const options = { keepAlive: true, proxyEnv: proxyEnvironment(proxy) };
    agent = protocol === 'https:' ? new HttpsAgent({ ...options, ...certificates() }) : new HttpAgent(options);
    agents.set(key, agent);
  }
  return agent;
}

function proxyEnvironment(proxy: ProxyChoice): NodeJS.ProcessEnv {
  if (proxy === undefined) return process.env;
  if (proxy === 'direct') return {};
  return { http_proxy: proxy, https_proxy: proxy };
}

/**
 * Node honours NODE_EXTRA_CA_CERTS by itself, but SSL_CERT_FILE (what OpenSSL, curl and go read) only with
 * a command line switch; a machine behind a company's own authority often sets just that.
 */
function certificates(): { ca?: string[] } {
  const file = process.env.SSL_CERT_FILE;
  if (file === undefined || file === '' || process.env.NODE_EXTRA_CA_CERTS !== undefined) return {};
  try {
    return { ca: [...getCACertificates('default'), readFileSync(file, 'utf8')] };
  } catch {
    return {}; // an unreadable file leaves Node's own list, and a failing handshake says so
  }
}
