import type { UserObjectCalls } from "./user-object.ts";

/** What the edge binds: `DurableObjectNamespace<UserObject>`. It knows the methods only. */
export interface UserObject extends Rpc.DurableObjectBranded, UserObjectCalls {}
