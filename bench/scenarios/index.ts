import { echo, echoBesideStalled } from "./echo.ts";
import { hostileMessages } from "./hostile-messages.ts";
import { execTrue, into, outText, outZeros } from "./kubectl.ts";
import { memory } from "./memory.ts";
import { rest, restChange } from "./rest.ts";
import type { Scenario } from "./scenario.ts";
import { stalledReader } from "./stalled-reader.ts";
import { watched } from "./watched.ts";

export const SCENARIOS: readonly Scenario[] = [
  execTrue,
  outText,
  outZeros,
  into,
  rest,
  restChange,
  echo,
  echoBesideStalled,
  stalledReader,
  watched,
  hostileMessages,
  memory,
];
