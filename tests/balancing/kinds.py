"""The kinds of node, each made of real processes, with what a test must do to them from behind."""

from balancing.buckets import Bucket
from balancing.node.client import NodeClient
from balancing.s3 import Place
from tests.balancing.node.servers import RING, S3, Nginx, Server


class ByServer:
    """The node server alone."""

    accel = ""

    def __init__(self, folder):
        self.server = Server(folder / "files", accel=self.accel)
        self.url = self.server.url

    def at(self, url, **more):
        return NodeClient(url, RING, **more)

    def plant(self, digest, data):
        path = self.server.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def leftovers(self):
        return self.server.unfinished()

    def close(self):
        self.server.kill()


class ByNginx(ByServer):
    """The node server behind nginx, which sends the files."""

    accel = "/files-internal/"

    def __init__(self, folder):
        super().__init__(folder)
        (folder / "nginx").mkdir()
        self.nginx = Nginx(folder / "nginx", self.server)
        self.url = self.nginx.url

    def close(self):
        self.nginx.kill()
        super().close()


class ByBucket:
    """A bucket."""

    def __init__(self, folder):
        self.s3 = S3(folder)
        self.url = self.s3.url

    def at(self, url, public_url="", **more):
        return Bucket(Place("mirror", url, "eu-central-1", "pkg/", public_url), **more)

    def plant(self, digest, data):
        key = f"pkg/{digest[:2]}/{digest[2:4]}/{digest[4:]}"
        self.s3.client.put_object(Bucket="mirror", Key=key, Body=data)

    def leftovers(self):
        return self.s3.client.list_multipart_uploads(Bucket="mirror").get("Uploads", [])

    def close(self):
        self.s3.kill()
