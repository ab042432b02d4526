import batches

import rota

rota.watch()
batches.compare(rota.task(batches.empty))
