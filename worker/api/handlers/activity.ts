import { findActivity } from "../activity.ts";
import type { Handler } from "./handler.ts";

export const listActivity: Handler<"listActivity"> = ({ params: { email }, query }, api) =>
  findActivity(api, { ...query, user: email });
