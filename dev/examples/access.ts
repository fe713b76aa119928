/** How people of the examples ask for access and decide about it: the API under `/-/`, by plain kubectl. */
import { EXAMPLE_NAMESPACE } from "./namespace.ts";
import { EXAMPLE_MARK, ExampleError, type Person } from "./person.ts";

interface AccessRequest {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly purpose: string | null;
}

/** Asks for a grant. @returns the request's id */
export async function ask(person: Person, grant: string, why: string): Promise<string> {
  const path = `/-/access?grant=${grant}&minutes=60`;
  const { stdout } = await person.run(["create", "--raw", path, "-f", "-"], {}, EXAMPLE_MARK + why);
  const { id, state } = JSON.parse(stdout) as AccessRequest;
  if (state !== "pending") throw new ExampleError(`${person.name} has the grant ${grant} already: give it back first`);
  return id;
}

export async function decide(person: Person, id: string, decision: "approve" | "deny", why: string): Promise<void> {
  const body = JSON.stringify({ decision, reason: EXAMPLE_MARK + why });
  await person.run(["create", "--raw", `/-/approvals/${id}`, "-f", "-"], {}, body);
}

/** Withdraws a request, or gives a grant back. */
export async function giveBack(person: Person, id: string): Promise<void> {
  await person.run(["delete", "--raw", `/-/access/${id}`]);
}

/** Withdraws and gives back what earlier examples have left. */
export async function giveBackExamples(person: Person): Promise<void> {
  const { stdout } = await person.run(["get", "--raw", "/-/access"]);
  const { items } = JSON.parse(stdout) as { readonly items: readonly AccessRequest[] };
  const isExample = ({ reason, purpose }: AccessRequest) =>
    reason?.startsWith(EXAMPLE_MARK) || purpose?.includes(` ${EXAMPLE_NAMESPACE},`);
  const left = items.filter((item) => ["pending", "active"].includes(item.state) && isExample(item));
  for (const { id } of left) await giveBack(person, id);
}
