// A network that is always there.
#pragma once
#define WL_CONNECTED 3
struct HostWiFi {
  void begin(const char *, const char *) {}
  int status() { return WL_CONNECTED; }
};
extern HostWiFi WiFi;
