/** Below `store.path`: what shows that a command is given by root or the agent's own user. Made anew at each start. */
export const OWNER_KEY_FILE = 'owner.key';
