import { echo } from "./echo.ts";
import { execTrue, into, out } from "./kubectl.ts";
import { memory } from "./memory.ts";
import { rest } from "./rest.ts";
import type { Scenario } from "./scenario.ts";

export const SCENARIOS: readonly Scenario[] = [execTrue, out, into, rest, echo, memory];
