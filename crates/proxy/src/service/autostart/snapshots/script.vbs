' Written by `saros-proxy autostart install`; `saros-proxy autostart uninstall` removes it.
CreateObject("WScript.Shell").Run """C:\Program Files\Saros\saros-proxy.exe"" start --port 4000 --config ""C:\Users\Jörg & Co\saros\config.yaml""", 0, False
