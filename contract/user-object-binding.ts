import type { UserObjectCalls } from "./user-object.ts";

/** What the edge binds: `DurableObjectNamespace<UserObject>`. It knows no more of the class than its methods. */
export interface UserObject extends Rpc.DurableObjectBranded, UserObjectCalls {}
