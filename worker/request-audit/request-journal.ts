/**
 * The edge's half of the audit log of API requests. It keeps nothing: each event is in the object's journal
 * before the client has its answer.
 *
 *     change, with an allowance      record ─┬─► object        answer to the client, once the object has
 *                                            └─► cluster       accepted; the status follows (`response`)
 *     change, without one            record ─► object ─► cluster
 *     read that reaches a workload   as a change with an allowance: it is never refused, but counted
 *     anything else that is audited  cluster ─► record ─► object ─► the answer's head
 */
import type { Category } from "../../audit/request-categories.ts";
import type { AuditedRequest } from "../../audit/request-events.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { PersonState } from "../../contract/person-state.ts";
import type { Recorded } from "../../contract/request-record.ts";
import type { Config } from "../config/schema.ts";
import { type Denial, denial } from "../denials.ts";
import type { Bindings } from "../env.ts";
import type { Failure } from "../failure.ts";
import { isReadMethod } from "../methods.ts";
import {
  recordRequest,
  recordResponse,
  type SentRecord,
  type UserObjectAddress,
  userObjectAddress,
} from "../sessions/user-objects.ts";
import { categorize, isAuditedAdminRequest, reachesWorkload } from "./category.ts";
import { describeRequest } from "./describe-request.ts";
import { HeldAllowances } from "./held-allowances.ts";
import { createIdGenerator } from "./ids.ts";
import type { RequestTrace } from "./request-trace.ts";

/**
 * Requests without an identity have an object of their own. No user's object has this name: a user has no
 * space in it, and no location hint is called so.
 */
const NOBODY = "requests without-an-identity";

/** A request, and what recording it needs. */
export interface Recording {
  readonly request: Request;
  readonly trace: RequestTrace;
  readonly env: Pick<Bindings, "USER_SESSIONS">;
  readonly context: Pick<ExecutionContext, "waitUntil">;
}

type Learn = (user: string, state: PersonState, askedAt: number) => void;
type Work = () => Promise<Result<Response, Failure>>;

/** Of a request that was carried out beside its record, which then failed. */
function maybeCarriedOut({ destination }: RequestTrace): Denial {
  const begun = destination === "cluster" ? "been sent to the cluster" : "begun";
  return denial(
    "object_unavailable",
    `the audit log did not accept this request, which had already ${begun}: it may have been carried out, so look ` +
      "before you try again; if this persists, contact your administrator",
  );
}

/** Records API requests. There is one per isolate. */
export class RequestJournal {
  readonly #config: Config["audit"];
  readonly #learn: Learn;
  readonly #allowances = new HeldAllowances();
  readonly #makeId = createIdGenerator();
  #isolate = "";

  /** @param learn takes what an object says of its person with each answer */
  constructor(config: Config["audit"], learn: Learn) {
    this.#config = config;
    this.#learn = learn;
  }

  /**
   * Carries a request out. A change is in the audit log first, or gets there together with the cluster. So
   * does a read that reaches a workload: it may act, and then never answer.
   *
   * @returns what the work answers, or why the request was not recorded; then it was not carried out, unless
   *   the message says so
   */
  async carryOut(recording: Recording, work: Work): Promise<Result<Response, Failure>> {
    const category = mayAct(recording) ? this.#categoryOf(recording, null) : "none";
    if (category === "none") return work();
    const { request, trace, env, context } = recording;
    trace.isRecorded = true;
    const address = addressOf(recording);
    const requestId = this.#makeId(trace.at);
    const isChange = !isReadMethod(request.method);
    const isHandedOn = !isChange || this.#allowances.take(address.id.toString(), Date.now());
    const sent = this.#recordFirst(recording, address, { requestId, category, isChange, isHandedOn });
    const working = isHandedOn ? work() : sent.accepted.then((accepted) => (accepted.ok ? work() : accepted));
    // The client may hang up at any time, but the cluster goes on, and so does this.
    context.waitUntil(
      respond(sent.arrived, working, async (answer) => {
        const podFacts = await trace.podFacts?.();
        const end = { requestId, ...answer, ...(podFacts && { podFacts }) };
        return recordResponse(env.USER_SESSIONS, address, end);
      }),
    );
    const accepted = await sent.accepted;
    if (accepted.ok) return working;
    if (!isHandedOn) return accepted;
    void working.then((late) => late.ok && discard(late.value)).catch(() => {});
    return err(maybeCarriedOut(trace));
  }

  /**
   * Records a request that has its answer, or the answer's head, unless it is recorded already or not
   * audited.
   *
   * @returns the answer, or why it must not be given
   */
  async recordAnswered(recording: Recording, response: Response): Promise<Result<Response, Denial>> {
    const { request, trace, env, context } = recording;
    const category = trace.isRecorded ? "none" : this.#categoryOf(recording, response.status);
    if (category === "none") return ok(response);
    trace.isRecorded = true;
    const fields = {
      requestId: this.#makeId(trace.at),
      request: describeRequest(request, trace, category, response.status),
      isChange: false,
      isHandedOn: false,
      isolate: this.#isolateId(),
      limits: this.#limits(),
    };
    const recorded = await recordRequest(env.USER_SESSIONS, addressOf(recording), fields, { outliving: context })
      .accepted;
    // An answer that says "sign in" gives nothing away, and without it nobody's client would sign in again.
    if (recorded.ok || trace.user === undefined) return ok(response);
    discard(response);
    return recorded;
  }

  /** Records a request that has no answer yet. */
  #recordFirst(
    { request, trace, env, context }: Recording,
    address: UserObjectAddress,
    { category, ...how }: { requestId: string; category: Category; isChange: boolean; isHandedOn: boolean },
  ): SentRecord {
    const { requestId, isChange, isHandedOn } = how;
    const askedAt = Date.now();
    const described = describeRequest(request, trace, category, null);
    const sent = recordRequest(
      env.USER_SESSIONS,
      address,
      { ...how, request: described, isolate: this.#isolateId(), limits: this.#limits() },
      {
        // One that was not handed on would only seem to have been.
        outliving: isHandedOn ? context : undefined,
        mustArrive: isHandedOn && isChange,
        // An object that does not answer is asked before each change.
        onFailedTry: () => isChange && this.#allowances.set(address.id.toString(), null, askedAt),
      },
    );
    const accepted = sent.accepted.then((recorded) => {
      if (isChange) {
        const object = address.id.toString();
        if (isHandedOn) this.#allowances.arrived(object);
        this.#allowances.set(object, recorded.ok ? recorded.value.allowance : null, askedAt);
      }
      if (recorded.ok && trace.user !== undefined) this.#learn(trace.user, recorded.value.state, askedAt);
      if (!recorded.ok && isHandedOn) logUnrecorded(requestId, described);
      return recorded;
    });
    return { ...sent, accepted };
  }

  /** @param status the answer's; null while there is none */
  #categoryOf({ request: { method, url }, trace }: Recording, status: number | null): Category | "none" {
    if (trace.denial) return "denied";
    const { destination, identity, cluster = "", info, failure } = trace;
    if (destination === "sallyport") return isAuditedAdminRequest(method, new URL(url).pathname) ? "admin" : "none";
    if (destination !== "cluster" || !identity || !info) return "none";
    const query = { identity, cluster, info, session: undefined };
    return categorize({ method, query, status: failure === undefined ? status : null }, this.#config.requests);
  }

  #limits() {
    return {
      maxChangesPerMinute: this.#config.requests.maxChangesPerMinute,
      maxChangesPerDay: this.#config.requests.maxChangesPerDay,
      maxQueuedEvents: this.#config.maxQueuedEvents,
    };
  }

  #isolateId(): string {
    // Not at start: outside a request the platform has no randomness.
    this.#isolate ||= crypto.randomUUID();
    return this.#isolate;
  }
}

/** Whether a request may do more than read, so that it is recorded without waiting for its answer. */
function mayAct({ request, trace: { info } }: Recording): boolean {
  if (isReadMethod(request.method)) return info !== undefined && reachesWorkload(info);
  return info === undefined || !isReview(info.apiGroup);
}

/** Asked by POST, but they change nothing, and everybody may ask them as often as they like. */
function isReview(apiGroup: string): boolean {
  return apiGroup === "authentication.k8s.io" || apiGroup === "authorization.k8s.io";
}

function addressOf({ trace, env }: Recording): UserObjectAddress {
  const { user, locationHint = null } = trace;
  if (user === undefined) return { id: env.USER_SESSIONS.idFromName(NOBODY), locationHint: null };
  return userObjectAddress(env.USER_SESSIONS, user, locationHint);
}

/** Sends the second event, once the first has arrived and the answer is there. Never rejects. */
async function respond(
  arrived: Promise<Result<Recorded, Denial>>,
  working: ReturnType<Work>,
  send: (answer: { status: number | null; reason: string | null }) => Promise<Result<null, Denial>>,
): Promise<void> {
  try {
    const first = await arrived;
    // What is only counted has no event that an answer could follow.
    if (!first.ok || first.value.as === "counted") return;
    const answer = await working.catch(() => undefined);
    if (answer === undefined) await send({ status: 500, reason: "Sallyport failed on this request" });
    else if (answer.ok) await send({ status: answer.value.status, reason: null });
    else await send({ status: null, reason: answer.error.message.slice(0, 512).toWellFormed() });
  } catch (error) {
    logEvent("error", "response_not_recorded", { error: describeError(error) });
  }
}

/** Says what may have been done without a row: nothing else does. */
function logUnrecorded(id: string, request: AuditedRequest): void {
  const { user, kubernetes_user, cluster, verb, api_group, resource, subresource, namespace, name } = request;
  logEvent("error", "change_not_recorded", {
    ...{ id, user, kubernetes_user, cluster },
    ...{ verb, api_group, resource, subresource, namespace, name },
  });
}

/** Ends an answer that nobody will read. */
function discard(response: Response): void {
  if (response.webSocket) {
    response.webSocket.accept();
    response.webSocket.close(1011);
  }
  response.body?.cancel().catch(() => {});
}
