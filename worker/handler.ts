import { err, ok, type Result } from "../common/result.ts";
import type { DecidingPerson } from "../contract/access.ts";
import { clusterBinding } from "../contract/bindings.ts";
import { classify } from "../kubernetes/classify.ts";
import { mayCreate } from "../kubernetes/creation.ts";
import { isOpenEnded } from "../kubernetes/open-ended.ts";
import { rawRequestTarget } from "../kubernetes/path.ts";
import type { RequestInfo } from "../kubernetes/request-info.ts";
import { STATUS_CODES } from "../kubernetes/status.ts";
import { effectiveUpgrade } from "../kubernetes/upgrade.ts";
import { createAccessIdentityReader, type ReadAccessIdentity } from "./access/access-identity.ts";
import { type Authenticate, createAuthenticator } from "./access/authenticate.ts";
import { checkCrossSite } from "./access/cross-site.ts";
import type { SignIn } from "./access/sign-in.ts";
import type { Subject } from "./access/subject.ts";
import type { CarryOut, IdentifyAgain } from "./api/request.ts";
import { serveApi, servePublicApi } from "./api/router.ts";
import { copiesOf } from "./config/location-hints.ts";
import type { Cluster, Config, Grant } from "./config/schema.ts";
import { consoleRedirect } from "./console/navigation.ts";
import { redirectTo, serveConsole } from "./console/serve.ts";
import { denial } from "./denials.ts";
import type { Bindings } from "./env.ts";
import { answerFailures, renderFailure } from "./error-handler.ts";
import type { Failure } from "./failure.ts";
import { isReadMethod } from "./methods.ts";
import { decidingPerson } from "./policy/approvals.ts";
import type { Decision } from "./policy/decide.ts";
import { grantsFor } from "./policy/grants.ts";
import { createIdentifier, type Identity } from "./policy/identify.ts";
import { categorize } from "./request-audit/category.ts";
import { observePods } from "./request-audit/pod-observer.ts";
import { writesPods } from "./request-audit/pod-resources.ts";
import { type Recording, RequestJournal } from "./request-audit/request-journal.ts";
import type { RequestTrace } from "./request-audit/request-trace.ts";
import { DrainWatch } from "./sessions/drain-watch.ts";
import { GivenAccessReader } from "./sessions/given-access.ts";
import { openSession } from "./sessions/open-session.ts";
import { accessCheckFor, decideHavingGrants } from "./sessions/person-grants.ts";
import { type Person, PersonStates } from "./sessions/person-state.ts";
import { askForApproval, secondHalfOf, waitWhereRefused } from "./sessions/session-approval.ts";
import { isAdminPath, isApiPath, isConsolePath } from "./surfaces.ts";
import { findClusterByHost, readUrl } from "./upstream/cluster-by-host.ts";
import { forwardToCluster, type RequestBody } from "./upstream/forward.ts";
import { Upload } from "./upstream/upload.ts";

/** What the handler needs of its invocation: time after the answer, for the second event of a change. */
export type Context = Pick<ExecutionContext, "waitUntil">;

export type Handler = (request: Request, env: Bindings, context: Context) => Promise<Response>;

/** Stages that tests replace. */
export interface Dependencies {
  readonly authenticate?: Authenticate;
  readonly readAccessIdentity?: ReadAccessIdentity;
}

interface Incoming extends Recording {
  readonly env: Bindings;
  readonly upload: Upload | undefined;
}

/** A request to a cluster, from somebody whom its identity rules know. */
interface ClusterRequest extends Incoming {
  readonly url: URL;
  readonly subject: Subject;
  readonly signIn: SignIn;
  /** Without what grants add. */
  readonly identity: Identity;
  /** The grants that the person may ask for and have. */
  readonly available: readonly Grant[];
  readonly cluster: Cluster;
  readonly person: Person;
  /** Names the person by all names that tell whether somebody else is the same. */
  readonly describePerson: () => DecidingPerson;
  /** From `effectiveUpgrade`. */
  readonly upgrade: string | null;
}

/** Makes the edge's request handler. Make it once per isolate. */
export function createHandler(config: Config, dependencies: Dependencies = {}): Handler {
  const authenticate = dependencies.authenticate ?? createAuthenticator(config.access);
  const readAccessIdentity = dependencies.readAccessIdentity ?? createAccessIdentityReader(config);
  const identify = createIdentifier();
  const states = new PersonStates();
  const drains = new DrainWatch();
  const given = new GivenAccessReader();
  const journal = new RequestJournal(config.audit, (user, state, askedAt) => states.learn(user, state, askedAt));

  /** authenticate → identify → serve the API under `/-/`, the console, or a cluster. */
  async function handle(incoming: Incoming): Promise<Result<Response, Failure>> {
    const { request, env, trace, context } = incoming;
    const read = readUrl(request);
    if (!read.ok) return read;
    const url = read.value;
    const isApi = isApiPath(url.pathname);
    const publicAnswer = isApi ? await servePublicApi(request, url, env) : undefined;
    if (publicAnswer) return ok(publicAnswer);

    const authenticated = await authenticate(request);
    if (!authenticated.ok) return authenticated;
    const { subject, token } = authenticated.value;
    trace.user = subject.name;
    const console = consoleRedirect(request, url);
    if (console !== undefined) return ok(redirectTo(console));

    const cluster = findClusterByHost(config.clusters, url.hostname);
    if (cluster) trace.cluster = cluster.name;
    if (isApi) trace.destination = "sallyport";
    const location = isApi ? null : (cluster?.locationHint ?? null);
    trace.locationHint = location;
    if (!cluster && !isApi) return err(UNKNOWN_HOST);

    // Asked while Access is, so that a session does not wait for the directory on top.
    const upgrade = effectiveUpgrade(request.headers);
    if (cluster && !isApi && upgrade) {
      void drains.refresh({ namespace: env.DIRECTORY, context });
    }
    const known = await readAccessIdentity(subject, token);
    if (!known.ok) return known;
    const { signIn } = known.value;
    trace.signIn = signIn;
    const readCountry = () => request.cf?.["country"];
    // Roles hold for all clusters, so no cluster's own identities can give them or stand in their way.
    const rules = isAdminPath(url.pathname) ? config.identities : (cluster?.identities ?? config.identities);
    const identified = identify(subject, known.value, rules, readCountry);
    if (!identified.ok) return identified;
    const identity = identified.value;
    trace.identity = identity;

    const person = { namespace: env.USER_SESSIONS, user: identity.name, location, context };
    if (cluster && !isApi) {
      const described = () => ({ ...known.value, country: readCountry() });
      const available = config.grants.length === 0 ? [] : grantsFor(config.grants, subject, described());
      const describePerson = () => decidingPerson({ subject, accessIdentity: described(), identity }, config);
      const asked = { url, subject, signIn, identity, available, cluster, person, describePerson, upgrade };
      return serveCluster({ ...incoming, ...asked });
    }
    // An earlier answer is no permission to change something: whoever has just been locked could lift the lock.
    const unlocked = await states.checkLock(person, isReadMethod(request.method) ? undefined : 0);
    if (!unlocked.ok) return unlocked;
    if (isConsolePath(url.pathname)) return ok(serveConsole(request, url));
    const accessIdentity = { ...known.value, country: readCountry() };
    const carryOut: CarryOut = (work) => journal.carryOut(incoming, work);
    const identifyAgain: IdentifyAgain = async (maxAgeMs) => {
      if (subject.expiresAt <= Date.now()) return err(SIGN_IN_OVER);
      const stillUnlocked = await states.checkLock(person, maxAgeMs);
      if (!stillUnlocked.ok) return stillUnlocked;
      const knownNow = await readAccessIdentity(subject, token);
      if (!knownNow.ok) return knownNow;
      const identifiedNow = identify(subject, knownNow.value, rules, readCountry);
      if (!identifiedNow.ok) return identifiedNow;
      return ok({ identity: identifiedNow.value, accessIdentity: { ...knownNow.value, country: readCountry() } });
    };
    const caller = { request, url, subject, accessIdentity, identity, cluster };
    const answer = await serveApi({ ...caller, config, env, carryOut, identifyAgain });
    if (answer.accessDenial) trace.denial = answer.accessDenial;
    return ok(answer.response);
  }

  /** classify → decide → open a session, or check for a lock and forward. The object checks for sessions. */
  async function serveCluster(clusterRequest: ClusterRequest): Promise<Result<Response, Failure>> {
    const { request, upload, url, env, trace, context } = clusterRequest;
    const { subject, available, cluster, person, describePerson, upgrade } = clusterRequest;
    const { method, headers } = request;
    // As the client wrote it: `new URL()` has resolved the dot segments that give an attack away.
    const target = rawRequestTarget(request.url);
    const classified = classify(method, target, upgrade);
    if (classified.info) trace.info = classified.info;
    const creates = mayCreate(method, headers.get("Content-Type"));
    const asked = {
      ...{ identity: clusterRequest.identity, client: headers, cluster, classified, creates },
      ...{ grants: config.grants, available },
    };
    const known = await decideHavingGrants(states, person, asked);
    if (!known.ok) return known;
    const { person: actingPerson, decided } = known.value;
    if (!actingPerson.ok) return actingPerson;
    const { identity, acting } = actingPerson.value;
    if (acting) {
      trace.acting = acting;
      trace.groups = identity.groups;
    }
    const { rule } = decided.ok ? decided.value : decided.error;
    if (rule) trace.rule = rule;
    const sameSite = checkCrossSite(headers, url, config.loopbackOrigins);
    const waiting = waitWhereRefused(decided, subject);
    if (!waiting.ok) {
      const half = sameSite.ok ? secondHalfOf(waiting.error, subject) : undefined;
      const attempt = half && { ...clusterRequest, target, identity, decision: half, approval: null };
      const first = attempt && (await openSession(env.USER_SESSIONS, attempt, config));
      // It remembers none: it says that it knows no SPDY.
      if (!first?.ok || first.value.status === STATUS_CODES.BadRequest) return waiting;
      trace.destination = "session";
      return first;
    }
    const { decision, needed } = waiting.value;
    trace.grants = decision.grants.map(({ grant }) => grant);

    const mayMatter = () => hasSideEffects(decision, method) || leavesRow(clusterRequest, classified.info);
    if (!sameSite.ok && mayMatter()) return sameSite;

    if (decision.action === "session") {
      const open = await drains.check({ namespace: env.DIRECTORY, context });
      if (!open.ok) return open;
      const question = { target: decision.target, cluster: cluster.name, origin: url.origin, copyTo: copiesOf(config) };
      const approval = needed
        ? await askForApproval(env.USER_SESSIONS, { needed, ...question, person: describePerson() }, Date.now())
        : ok(null);
      if (!approval.ok) return approval;
      trace.destination = "session";
      const attempt = { ...clusterRequest, target, identity, decision, approval: approval.value };
      return openSession(env.USER_SESSIONS, attempt, config);
    }
    const checkAccess = accessCheckFor(states, person, {
      ...{ grants: decision.grants, groups: identity.groups, rule: decision.rule },
      readGiven: (openedAt) => given.read(env.RECORDINGS, context, openedAt),
    });
    const allowed = await checkAccess();
    if (!allowed.ok) return allowed;
    trace.destination = "cluster";
    const isPodWrite = classified.info !== undefined && writesPods(method, classified.info);
    const accessEnd = { checkAccess, isOpenEnded: classified.info !== undefined && isOpenEnded(classified.info) };
    const observe: RequestBody["observe"] = (whole) => {
      if (!isPodWrite) return whole;
      const { body, facts } = observePods(headers, whole);
      trace.podFacts = facts;
      return body;
    };
    const binding = clusterBinding(env, cluster.binding);
    const answered = await journal.carryOut(clusterRequest, () =>
      forwardToCluster(binding, request, target, decision, accessEnd, { upload, observe }),
    );
    if (sameSite.ok || !answered.ok || answered.value.status !== 403) return answered;
    // What the cluster denies has a row as well, and must not be the person's own attempt.
    await answered.value.body?.cancel();
    return sameSite;
  }

  /** Whether the audit log would have a row of it: no page of another site may write a person's log. */
  function leavesRow({ request, identity, cluster }: ClusterRequest, info: RequestInfo | undefined): boolean {
    if (!info) return false;
    const query = { identity, cluster: cluster.name, info, session: undefined };
    return categorize({ method: request.method, query, status: 200 }, config.audit.requests) !== "none";
  }

  async function answerAndRecord(incoming: Incoming): Promise<Response> {
    const { request, trace, upload } = incoming;
    const response = await answerFailures(request, trace, () => handle(incoming));
    const recorded = await journal.recordAnswered(incoming, response);
    const answer = recorded.ok ? recorded.value : renderFailure(request, recorded.error);
    return upload?.holdOpen(answer) ?? answer;
  }

  return async (request, env, context) => {
    const trace: RequestTrace = { at: Date.now() };
    return answerAndRecord({ request, upload: Upload.of(request), trace, env, context });
  };
}

const SIGN_IN_OVER = denial("bad_token", "your sign-in is over: sign in again");
const UNKNOWN_HOST = denial("unknown_host", "no cluster has this host name here: check the server in your kubeconfig");

/**
 * Whether the request may do more than read. A page of another site may cause a plain read: it never sees the
 * answer, for nothing here sends CORS headers. A workload may act on a GET, so a proxied one counts as a
 * write.
 */
function hasSideEffects(decision: Decision, method: string): boolean {
  return decision.action === "session" || decision.upgrade || decision.proxied || !isReadMethod(method);
}
