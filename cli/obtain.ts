/** Obtains a token: the stored one, a renewed one, or one of a new sign-in. */
import type { Application } from "./application.ts";
import { type SignInMeans, signInMeans } from "./browser.ts";
import { PluginFailure } from "./failure.ts";
import type { Fetch } from "./net/https.ts";
import { makeFetch } from "./net/https.ts";
import { renew } from "./oauth/refresh.ts";
import { SIGN_IN_TIMEOUT_MS, type SignedIn, signIn } from "./oauth/sign-in.ts";
import type { ApplicationRecord } from "./store/record.ts";
import type { CompleteRecord, Store } from "./store/store.ts";
import type { Surroundings } from "./surroundings.ts";
import { decideToken, isUsable } from "./tokens.ts";

export interface ObtainOptions {
  readonly application: Application;
  readonly store: Store;
  readonly surroundings: Surroundings;
  /** PEM; undefined: the one of the last sign-in. */
  readonly certificateAuthority?: string | undefined;
  /** Whether standard input is ours to read. */
  readonly mayReadStdin: boolean;
  /** An access token that the server has refused: it is not used again, whatever its age. */
  readonly rejectedToken?: string | undefined;
  /** For a look at another deployment: never a sign-in, and no long wait for one. It fails instead. */
  readonly isSilent?: boolean;
  /** A new sign-in, whatever is stored. */
  readonly isForced?: boolean;
  /** The loopback port of a sign-in. */
  readonly port?: number | undefined;
  readonly timeoutMs?: number | undefined;
}

/** What others do takes as long as a sign-in at most, and some time for its requests. */
const AFTER_SIGN_IN_MS = 30_000;
/** Where nobody could sign in, others' renewal is waited for, and a lock that nobody holds any more. */
const UNATTENDED_TIMEOUT_MS = 45_000;
const SILENT_TIMEOUT_MS = 5_000;

/** @throws PluginFailure that says why there is no token, and what to do */
export async function obtain(options: ObtainOptions): Promise<CompleteRecord> {
  const { application, store, surroundings, rejectedToken, isForced = false } = options;
  const stored = await store.read(application.id);
  const decide = (record: CompleteRecord | undefined) =>
    decideToken(record?.tokens, surroundings.now(), {
      isRejected: record !== undefined && record.tokens.accessToken === rejectedToken,
    });
  if (stored && !isForced && decide(stored).kind === "use") return stored;

  const possible = signInMeans(surroundings, options.mayReadStdin);
  const means = options.isSilent ? { ...possible, isPossible: false } : possible;
  return store.exclusively(application.id, lockOptions(options, means), async () => {
    // Another process may have done it meanwhile, also a sign-in that this one was asked to force.
    const current = await store.read(application.id);
    const isNews = current !== undefined && current.tokens.accessToken !== stored?.tokens.accessToken;
    if (isForced && !isNews) return signInAnew(options, current, means, "forced");
    const decision = decide(current);
    if (current && decision.kind === "use") return current;
    if (current && decision.kind === "refresh") return refresh(options, current, decision.refreshToken, means);
    return signInAnew(options, current, means, current === undefined ? "never" : "ended");
  });
}

function lockOptions(options: ObtainOptions, { isPossible }: SignInMeans) {
  return {
    timeoutMs: lockTimeoutMs(options, isPossible),
    onWait: () => {
      if (isPossible) options.surroundings.note("Waiting for another kubectl-sallyport that signs in …");
    },
  };
}

/** Pure. @returns how long to wait for another process, which may renew or wait for its person to sign in */
export function lockTimeoutMs(
  { isSilent, timeoutMs }: Pick<ObtainOptions, "isSilent" | "timeoutMs">,
  isPossible: boolean,
): number {
  if (isSilent) return SILENT_TIMEOUT_MS;
  return isPossible ? (timeoutMs ?? SIGN_IN_TIMEOUT_MS) + AFTER_SIGN_IN_MS : UNATTENDED_TIMEOUT_MS;
}

async function refresh(
  options: ObtainOptions,
  record: CompleteRecord,
  refreshToken: string,
  means: SignInMeans,
): Promise<CompleteRecord> {
  const { store, surroundings, rejectedToken } = options;
  const nowMs = surroundings.now();
  const renewal = await renew(record, refreshToken, fetchFor(options, record), nowMs);
  switch (renewal.kind) {
    case "renewed": {
      const renewed = { ...record, tokens: renewal.tokens };
      await store.write(renewed);
      return renewed;
    }
    case "failed":
      // The token still counts for a moment, and the next request tries again.
      if (record.tokens.accessToken !== rejectedToken && isUsable(record.tokens, surroundings.now())) return record;
      throw renewal.failure;
    case "ended": {
      // A process that took over a stale lock may have renewed with the same token: then its tokens count.
      const current = await store.read(record.application);
      if (current && current.tokens.refreshToken !== refreshToken) return current;
      return signInAnew(options, record, means, "ended");
    }
  }
}

const BECAUSE = {
  never: "nobody has signed in",
  ended: "the sign-in has expired or was revoked",
  forced: "a new sign-in was asked for",
} as const;

async function signInAnew(
  options: ObtainOptions,
  earlier: ApplicationRecord | undefined,
  means: SignInMeans,
  because: keyof typeof BECAUSE,
): Promise<CompleteRecord> {
  const { application, store, surroundings, port, timeoutMs } = options;
  const { host } = new URL(application.origin);
  if (!means.isPossible) {
    throw new PluginFailure(
      "sign_in_required",
      `${BECAUSE[because]} at ${host}, and nobody can from here: run ` +
        `"kubectl sallyport login${application.isAdmin ? " --admin" : ""}" in a terminal`,
    );
  }
  const signedIn = await signIn({
    application,
    fetch: fetchFor(options, earlier),
    surroundings,
    means,
    ...(port !== undefined && { port }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
  const record = recordOf(options, earlier, signedIn);
  await store.write(record);
  return record;
}

function fetchFor({ certificateAuthority }: ObtainOptions, record: ApplicationRecord | undefined): Fetch {
  return makeFetch(certificateAuthority ?? record?.certificateAuthority);
}

function recordOf(
  { application, certificateAuthority }: ObtainOptions,
  earlier: ApplicationRecord | undefined,
  { point: { server, resource }, client, tokens }: SignedIn,
): CompleteRecord {
  const authority = certificateAuthority ?? earlier?.certificateAuthority;
  return {
    application: application.id,
    resource,
    issuer: server.issuer,
    tokenEndpoint: server.token_endpoint ?? "",
    ...(server.revocation_endpoint !== undefined && { revocationEndpoint: server.revocation_endpoint }),
    client,
    tokens,
    // A host that the deployment has given up since must not go on getting tokens.
    origins: [],
    ...(authority !== undefined && { certificateAuthority: authority }),
  };
}
