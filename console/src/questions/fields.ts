/** The form of a question, made from its parameters. Pure. */
import type { Question } from "../api/endpoints.ts";
import type { Filter } from "../ui/filter.ts";

type Parameter = Question["parameters"][number];

const LABELS: Readonly<Record<string, string>> = {
  since: "Since",
  until: "Before",
  user: "Person",
  zone: "Time zone",
  pattern: "Command",
  least: "At least",
  most: "At most",
  log: "Log of the cluster",
};

/** What is known of whoever asks. */
export interface Asker {
  /** The offset of their time zone, such as `+01:00`. */
  readonly zone: string;
  /** Names of the clusters that they may reach. */
  readonly clusters: readonly string[];
}

/**
 * What counts for a parameter that the address does not have, where that is for the console to say.
 * "" leaves it to the API.
 */
export function defaultValue({ name, type }: Parameter, { zone, clusters }: Asker): string {
  if (type === "zone") return zone;
  const [only = "", ...others] = clusters;
  return name === "cluster" && others.length === 0 ? only : "";
}

/**
 * @param bound the values of the last answer, which say what the API's defaults are
 */
export function questionFields(
  parameters: readonly Parameter[],
  asker: Asker,
  bound: Readonly<Record<string, string | number>> = {},
): Filter[] {
  return parameters
    .toSorted((one, other) => rankOf(one) - rankOf(other))
    .map((parameter): Filter => {
      const { name, type, required, description, example } = parameter;
      const otherwise = defaultValue(parameter, asker) || String(bound[name] ?? "");
      return {
        ...{ name, label: labelOf(name), otherwise },
        ...{ isTime: type === "time", isLong: type === "json", isRequired: required },
        // The reader's own fits nearly always.
        isRare: type === "zone",
        ...(type !== "time" && { hint: description.replaceAll("`", "") }),
        ...(required && { example: String(example) }),
        ...(name === "cluster" && { suggestions: asker.clusters }),
      };
    });
}

/** What must be given comes first. The SQL has parameters in the order of their use. */
function rankOf({ required, type }: Parameter): number {
  if (required) return 0;
  return type === "time" ? 1 : 2;
}

/** A parameter in words. */
export function labelOf(name: string): string {
  return LABELS[name] ?? name.charAt(0).toUpperCase() + name.slice(1);
}

/** The values of a question: those of the address, then the console's own. "" where the API has a default. */
export function questionValues(
  parameters: readonly Parameter[],
  asker: Asker,
  get: (name: string) => string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    parameters.map((parameter) => [parameter.name, get(parameter.name) || defaultValue(parameter, asker)]),
  );
}

/** The parameters that somebody still has to give. */
export function missingOf(
  parameters: readonly Parameter[],
  values: Readonly<Record<string, string>>,
): readonly Parameter[] {
  return parameters.filter(({ name, required }) => required && (values[name] ?? "") === "");
}

/** The offset of the reader's zone at a time, as SQLite takes it: `+05:30`. */
export function zoneOffset(at: Date): string {
  const minutes = -at.getTimezoneOffset();
  const two = (value: number) => String(value).padStart(2, "0");
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}
