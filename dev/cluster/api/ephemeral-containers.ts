import { z } from "zod";
import { parseUpdate, sentVersion, specFaults } from "./admission.ts";
import { type EphemeralContainer, ephemeralContainerSchema, type KubeObject, type Pod } from "./objects.ts";
import type { ResourceInfo } from "./resources.ts";
import { sameJson } from "./same-json.ts";
import { invalid } from "./status.ts";

interface Fault {
  readonly field: string;
  readonly message: string;
}

const FIELD = "spec.ephemeralContainers";
// Fields that make sense only for a container of the workload itself.
const FORBIDDEN_FIELDS = [
  ...["ports", "resources", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"],
  ...["restartPolicy", "resizePolicy"],
];
const FORBIDDEN = "Forbidden: cannot be set for an Ephemeral Container";

const specSchema = z.object({ ephemeralContainers: z.array(ephemeralContainerSchema).nullish() });

/**
 * Validates a body sent to `pods/ephemeralcontainers`, as ValidatePodEphemeralContainersUpdate does. Throws
 * 400 or 422.
 *
 * @returns the pod with its ephemeral containers; other changes in the body are ignored
 */
export function admitEphemeralContainers(info: ResourceInfo, current: Pod, body: unknown): KubeObject {
  const object = parseUpdate(info, current, body);
  const { name } = current.metadata;
  const spec = specSchema.safeParse(object["spec"] ?? {});
  if (!spec.success) throw invalid(info.kind, name, specFaults(spec.error));
  const ephemeralContainers = spec.data.ephemeralContainers ?? [];
  const faults = [...containerFaults(current, ephemeralContainers), ...changeFaults(current, ephemeralContainers)];
  if (faults.length > 0) throw invalid(info.kind, name, faults);
  return {
    ...current,
    metadata: { ...current.metadata, resourceVersion: sentVersion(object) },
    spec: { ...current.spec, ephemeralContainers },
  };
}

function containerFaults({ spec }: Pod, ephemeral: readonly EphemeralContainer[]): Fault[] {
  const own = spec.containers.map(({ name }) => name);
  return ephemeral.flatMap((container, index) => {
    const { name, targetContainerName: target } = container;
    const at = (field: string, message: string): Fault => ({ field: `${FIELD}[${index}].${field}`, message });
    const taken = [...own, ...ephemeral.slice(0, index).map((earlier) => earlier.name)];
    return [
      ...(taken.includes(name) ? [at("name", `Duplicate value: ${JSON.stringify(name)}`)] : []),
      ...(target && !own.includes(target) ? [at("targetContainerName", `Not found: ${JSON.stringify(target)}`)] : []),
      ...FORBIDDEN_FIELDS.filter((field) => isSet(container[field])).map((field) => at(field, FORBIDDEN)),
    ];
  });
}

// Go clients write an unset struct as {}.
function isSet(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== "";
}

// A patch does not keep the order, so containers are matched by name.
function changeFaults({ spec }: Pod, next: readonly EphemeralContainer[]): Fault[] {
  return (spec.ephemeralContainers ?? []).flatMap((old) => {
    const kept = next.find(({ name }) => name === old.name);
    if (kept !== undefined && sameJson(old, kept)) return [];
    const what = kept === undefined ? "removed" : "changed";
    const message = `Forbidden: existing ephemeral containers ${JSON.stringify(old.name)} may not be ${what}`;
    return [{ field: FIELD, message }];
  });
}
