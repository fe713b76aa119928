/**
 * One sign-in for all clusters of an application.
 *
 * Access's tokens count for every host name of an application. Which ones these are, only the deployment
 * says, to somebody who has signed in: `GET /-/whoami` lists their host names. No other host ever gets a
 * token. What it has said is remembered until the next sign-in.
 */
import { type Application, applicationAt } from "./application.ts";
import { PluginFailure } from "./failure.ts";
import { makeFetch } from "./net/https.ts";
import { statusMessage } from "./net/status-message.ts";
import { readUnauthenticated } from "./oauth/challenge.ts";
import { obtain } from "./obtain.ts";
import type { ApplicationRecord } from "./store/record.ts";
import type { CompleteRecord, Store } from "./store/store.ts";
import type { Surroundings } from "./surroundings.ts";

/** Other deployments may be out of reach; whoever waits for kubectl should not wait for them. */
const OTHERS_TIMEOUT_MS = 5_000;
/** What cannot be remembered now, as during somebody's sign-in, is asked for again. */
const REMEMBER_TIMEOUT_MS = 1_000;

interface Question {
  /** `https://host[:port]` of the cluster that a credential is wanted for. */
  readonly origin: string;
  readonly store: Store;
  readonly surroundings: Surroundings;
  readonly certificateAuthority: string | undefined;
}

/** The clusters in a deployment's kubeconfig, by name. */
export interface ListedCluster {
  readonly name: string;
  readonly server: string;
}

/**
 * Reads the answer of `GET /-/kubeconfig`, which is JSON. Pure.
 *
 * @returns undefined for anything else
 */
export function listedClusters(text: string): readonly ListedCluster[] | undefined {
  try {
    const { clusters } = JSON.parse(text) as {
      readonly clusters: readonly { readonly name: unknown; readonly cluster: { readonly server: unknown } }[];
    };
    return clusters.flatMap(({ name, cluster: { server } }) =>
      typeof name === "string" && typeof server === "string" && URL.canParse(server) ? [{ name, server }] : [],
    );
  } catch {
    return undefined;
  }
}

/** @returns whether a sign-in's token may go to a cluster by what its deployment has said before */
export function isKnownToServe({ application, origins }: ApplicationRecord, origin: string): boolean {
  return new URL(application).origin === origin || origins.includes(origin);
}

/** @returns the application whose sign-in serves a cluster: its own, unless another one's counts there */
export async function applicationFor(question: Question): Promise<Application> {
  const own = applicationAt(question.origin);
  if (!own.ok) throw new PluginFailure("insecure_server", own.error);
  if (await question.store.read(own.value.id)) return own.value;
  const others = (await question.store.list()).filter(({ application }) => applicationOf(application) !== undefined);
  const known = others.find((record) => isKnownToServe(record, question.origin));
  if (known) return applicationOf(known.application) ?? own.value;
  // All at the same time: each may take its whole time limit. None is left alone, since that could cost its
  // sign-in.
  const serving = await Promise.all(
    others.map(async ({ application }) => {
      const other = applicationOf(application);
      const answer = other && (await serves(other, question).catch(() => undefined));
      return answer === true ? other : undefined;
    }),
  );
  return serving.find((each) => each !== undefined) ?? own.value;
}

/**
 * @param application one that somebody has signed in to
 * @throws PluginFailure where its sign-in must not go to the cluster
 */
export async function requireServes(application: Application, question: Question): Promise<void> {
  if (application.origin === question.origin) return;
  const answer = await serves(application, question);
  if (answer === true) return;
  const cluster = new URL(question.origin).host;
  const deployment = new URL(application.origin).host;
  throw new PluginFailure(
    "wrong_host",
    answer === false
      ? `${cluster} is no cluster of ${deployment}, so it gets no credential: correct the kubeconfig, or write ` +
          'it anew with "kubectl sallyport kubeconfig"'
      : `whether ${cluster} is a cluster of ${deployment} is unknown, so it gets no credential: ${answer.reason}`,
  );
}

/** Asks the application for its host names, and the cluster whether the application's token counts there. */
async function serves(application: Application, question: Question): Promise<boolean | { readonly reason: string }> {
  const { origin, store } = question;
  const stored = await store.read(application.id);
  if (!stored) return { reason: "nobody has signed in" };
  if (isKnownToServe(stored, origin)) return true;
  // Never a new sign-in: that is for the cluster which was asked for.
  const record = await obtain({ ...question, application, mayReadStdin: false, isSilent: true });
  const authority = record.certificateAuthority ?? question.certificateAuthority;
  const answer = await get(`${application.origin}/-/whoami`, record.tokens.accessToken, authority);
  const text = await answer.text();
  const names = answer.ok ? hostNames(text) : undefined;
  if (names === undefined) return { reason: statusMessage(text) ?? `it answered with status ${answer.status}` };
  if (!isListed(origin, application.origin, names)) return false;
  if (!(await isAccepted(origin, record, question.certificateAuthority ?? authority))) {
    return { reason: "its Access application does not accept the sign-in" };
  }
  await rememberOrigins(application, [origin], store);
  return true;
}

/**
 * The host names of a deployment's clusters, of `GET /-/whoami`. Pure.
 *
 * @returns undefined for what is no such answer
 */
export function hostNames(text: string): readonly string[] | undefined {
  try {
    const { clusters } = JSON.parse(text) as {
      readonly clusters: readonly { readonly hostnames: readonly string[] }[];
    };
    return clusters.flatMap(({ hostnames }) => hostnames).map((name) => name.toLowerCase());
  } catch {
    return undefined;
  }
}

/** Pure. @returns whether a cluster is at one of the host names, on the deployment's own port */
export function isListed(cluster: string, deployment: string, names: readonly string[]): boolean {
  const { hostname, port } = new URL(cluster);
  return names.includes(hostname) && port === new URL(deployment).port;
}

/** @returns whether a host that the deployment has listed lets a sign-in's token through */
export async function isAccepted(
  origin: string,
  { tokens }: CompleteRecord,
  certificateAuthority: string | undefined,
): Promise<boolean> {
  const answer = await get(`${origin}/-/whoami`, tokens.accessToken, certificateAuthority);
  const { kind } = readUnauthenticated(answer.status, answer.headers.get("www-authenticate"));
  // 403 is the deployment's own answer to somebody whom no rule knows.
  return kind === "open" || answer.status === 403;
}

/** Stores further origins that an application's sign-in serves, unless another process holds it for long. */
export async function rememberOrigins({ id }: Application, origins: readonly string[], store: Store): Promise<void> {
  const remembering = store.exclusively(id, { timeoutMs: REMEMBER_TIMEOUT_MS, onWait: () => {} }, async () => {
    const record = await store.read(id);
    if (record) await store.write({ ...record, origins: [...new Set([...record.origins, ...origins])] });
  });
  await remembering.catch((error: unknown) => {
    if (!(error instanceof PluginFailure && error.code === "busy")) throw error;
  });
}

function get(url: string, token: string, certificateAuthority: string | undefined): Promise<Response> {
  return makeFetch(certificateAuthority, OTHERS_TIMEOUT_MS)(url, {
    method: "GET",
    headers: { accept: "application/json", authorization: `Bearer ${token}` },
  });
}

/** Only those of users: an administrators' application serves no cluster. */
function applicationOf(id: string): Application | undefined {
  const application = applicationAt(id);
  return application.ok && application.value.id === id ? application.value : undefined;
}
