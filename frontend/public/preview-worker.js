// The preview's Web Worker: loads the model's wasm, which then talks to the page by itself (domain::preview) and says
// `ready` first. The build replaces `./preview.js` and `./preview.wasm` by their names with the content's hash.
import init from "./preview.js";

const module = new URL("./preview.wasm", import.meta.url);

init({ module_or_path: module }).catch((error) => postMessage(JSON.stringify({ type: "failed", id: null, message: `The preview could not be loaded: ${error}` })));
