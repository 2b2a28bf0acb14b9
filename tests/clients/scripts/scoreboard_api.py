"""GET /usernames and GET /hashtags: the top ten and their scores, as JSON."""

import http.server
import json
import os

import redis

BOARDS = {"/usernames": "username_scoreboard", "/hashtags": "hashtags_scoreboard"}


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        board = BOARDS.get(self.path)
        if not board:
            return self.send_error(404)
        r = redis.StrictRedis(host="127.0.0.1", port=int(os.environ["REDIS_PORT"]), decode_responses=True)
        body = json.dumps(r.zrevrange(board, 0, 9, withscores=True)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = http.server.HTTPServer(("127.0.0.1", 0), Api)
    print("serving", server.server_port, flush=True)
    server.serve_forever()
