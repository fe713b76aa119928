import { z } from "zod";
import type { ResourceRequest } from "../auth/request-info.ts";
import { deletePod } from "../pods/kubelet.ts";
import { admitNew, admitUpdate } from "./admission.ts";
import { applyTo, trackUpdate } from "./apply.ts";
import { admitEphemeralContainers } from "./ephemeral-containers.ts";
import { isRecord } from "./field-sets.ts";
import type { KubeObject, Pod } from "./objects.ts";
import { APPLY_MEDIA_TYPE, applyPatch, mediaTypeOf } from "./patch.ts";
import { RESOURCES, type ResourceInfo, resourceNamed } from "./resources.ts";
import { fieldSelector, labelSelector, type Selector } from "./selectors.ts";
import {
  badRequest,
  conflict,
  forbidden,
  invalid,
  methodNotAllowed,
  notFound,
  type Status,
  success,
} from "./status.ts";
import type { NewObject, Store } from "./storage.ts";
import { presentList, presentOne, type Representation } from "./table.ts";

/** A request for objects, with its body parsed. */
export interface ObjectRequest {
  readonly info: ResourceInfo;
  readonly request: ResourceRequest;
  readonly query: URLSearchParams;
  readonly representation: Representation;
  readonly contentType: string;
  readonly body: unknown;
  /** The field manager: as the request names it, or else the program's name. */
  readonly manager: string;
}

export interface Answer {
  readonly code: number;
  readonly body: object;
}

const deleteOptionsSchema = z.looseObject({
  gracePeriodSeconds: z.int().min(0).nullish(),
  preconditions: z.looseObject({ uid: z.string().nullish() }).nullish(),
});
const SYSTEM_NAMESPACES = ["default", "kube-system"];

/** Carries out a verb on the stored objects. Throws StatusError. Does not serve watches. */
export function answerObjectRequest(store: Store, asked: ObjectRequest): Answer {
  const { info, request, query, representation } = asked;
  if (!verbsOf(asked).includes(request.verb)) throw methodNotAllowed();
  const namespace = scopeOf(asked);
  const one = (code: number, object: KubeObject): Answer => ({ code, body: presentOne(info, object, representation) });
  switch (request.verb) {
    case "get":
      return one(200, store.get(info, namespace, request.name));
    case "list": {
      const objects = store.list(info, namespace).filter(selectorOf(query));
      return { code: 200, body: presentList(info, objects, representation, store.revision) };
    }
    case "create":
      return one(201, create(store, asked, namespace));
    case "update":
      return one(
        200,
        replace(store, asked, namespace, () => asked.body),
      );
    case "patch": {
      if (mediaTypeOf(asked.contentType) === APPLY_MEDIA_TYPE) {
        const isNew = store.find(info, namespace, request.name) === undefined;
        return one(isNew ? 201 : 200, apply(store, asked, namespace));
      }
      return one(
        200,
        replace(store, asked, namespace, (current) => applyPatch(asked.contentType, current, asked.body)),
      );
    }
    case "delete":
      return remove(store, asked, store.get(info, namespace, request.name));
    case "deletecollection": {
      const gone = store.list(info, namespace).filter(selectorOf(query));
      for (const object of gone) remove(store, asked, object);
      return { code: 200, body: presentList(info, gone, representation, store.revision) };
    }
    default:
      throw methodNotAllowed();
  }
}

function verbsOf({ info, request }: ObjectRequest): readonly string[] {
  if (request.subresource === "") return info.verbs;
  return info.subresources.find(({ name }) => name === request.subresource)?.verbs ?? [];
}

/** Builds the selection of `labelSelector` and `fieldSelector`. */
export function selectorOf(query: URLSearchParams): Selector {
  const byLabel = labelSelector(query.get("labelSelector") ?? "");
  const byField = fieldSelector(query.get("fieldSelector") ?? "");
  return (object) => byLabel(object) && byField(object);
}

// A Namespace's own path has its name where others have their namespace.
function scopeOf({ info, request }: ObjectRequest): string {
  if (!info.namespaced) return "";
  if (request.namespace === "" && request.name !== "") throw notFound(info, request.name);
  return request.namespace;
}

const isDryRun = (query: URLSearchParams): boolean => query.get("dryRun") === "All";

function create(store: Store, { info, body, query, manager }: ObjectRequest, namespace: string): KubeObject {
  if (info.namespaced && namespace === "") throw methodNotAllowed();
  if (info.namespaced) store.get(resourceNamed("namespaces"), "", namespace);
  return createAdmitted(store, info, trackUpdate(undefined, admitNew(info, namespace, body), manager), query);
}

function createAdmitted(store: Store, info: ResourceInfo, object: NewObject, query: URLSearchParams): KubeObject {
  if (!isDryRun(query)) return store.create(info, object);
  const unstored = { uid: "", resourceVersion: "", creationTimestamp: "" };
  return { ...object, metadata: { ...object.metadata, ...unstored } };
}

function replace(
  store: Store,
  { info, request, query, manager }: ObjectRequest,
  namespace: string,
  next: (current: KubeObject) => unknown,
): KubeObject {
  const current = store.get(info, namespace, request.name);
  // The only subresource that is written as an object.
  const isEphemeral = request.subresource === "ephemeralcontainers";
  const body = next(current);
  const object = isEphemeral ? admitEphemeralContainers(info, current as Pod, body) : admitUpdate(info, current, body);
  const tracked = trackUpdate(current, object, manager);
  return isDryRun(query) ? tracked : store.update(info, tracked);
}

function apply(store: Store, { info, request, query, body, manager }: ObjectRequest, namespace: string): KubeObject {
  if (!query.get("fieldManager")) {
    const causes = [{ field: "fieldManager", message: "Required value: is required for apply patch" }];
    throw invalid("PatchOptions", "", causes, "meta.k8s.io");
  }
  if (!isRecord(body)) throw badRequest("what is applied is an object");
  const live = store.find(info, namespace, request.name);
  const result = applyTo(live, { applied: body, manager, force: query.get("force") === "true" });
  if (live === undefined) {
    const object = admitNew(info, namespace, result);
    if (object.metadata.name !== request.name) throw badRequest("the name of the object does not match the URL");
    if (info.namespaced) store.get(resourceNamed("namespaces"), "", namespace);
    return createAdmitted(store, info, object, query);
  }
  if (result === live) return live;
  const object = admitUpdate(info, live, result);
  return isDryRun(query) ? object : store.update(info, object);
}

function remove(store: Store, { info, request, query, body }: ObjectRequest, object: KubeObject): Answer {
  const options = deleteOptionsSchema.safeParse(body ?? {});
  if (!options.success) throw badRequest("invalid DeleteOptions");
  const { name, namespace = "", uid } = object.metadata;
  const expectedUid = options.data.preconditions?.uid;
  if (expectedUid != null && expectedUid !== uid) {
    const why = `Precondition failed: UID in precondition: ${expectedUid}, UID in object meta: ${uid}`;
    throw conflict(info, name, why);
  }
  const done: Status = success(info, name, uid);
  if (info.resource === "pods") {
    const pod = object as Pod;
    const asked = query.get("gracePeriodSeconds");
    const grace =
      options.data.gracePeriodSeconds ?? (asked === null ? pod.spec.terminationGracePeriodSeconds : Number(asked));
    return { code: 200, body: isDryRun(query) ? pod : deletePod(store, pod, grace) };
  }
  if (isDryRun(query)) return { code: 200, body: done };
  if (info.resource === "namespaces") emptyNamespace(store, request, name);
  store.remove(info, namespace, name);
  return { code: 200, body: done };
}

function emptyNamespace(store: Store, request: ResourceRequest, namespace: string): void {
  if (SYSTEM_NAMESPACES.includes(namespace)) throw forbidden(request, namespace, "this namespace may not be deleted");
  for (const info of RESOURCES.filter(({ namespaced }) => namespaced)) {
    for (const { metadata } of store.list(info, namespace)) store.remove(info, namespace, metadata.name);
  }
}
