import rota

rota.watch()
