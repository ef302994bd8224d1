"""All operations that this server carries out, by the service's names."""

from tests.cloud.rekognition import collection_operations as collections
from tests.cloud.rekognition import face_operations as faces
from tests.cloud.rekognition import user_operations as users
from tests.cloud.rekognition.service import Operation, once

OPERATIONS: dict[str, Operation] = {
    "CreateCollection": collections.create_collection,
    "DescribeCollection": collections.describe_collection,
    "DeleteCollection": collections.delete_collection,
    "ListCollections": collections.list_collections,
    "ListFaces": collections.list_faces,
    "DeleteFaces": collections.delete_faces,
    "DetectFaces": faces.detect_faces,
    "IndexFaces": faces.index_faces,
    "SearchFaces": faces.search_faces,
    "SearchFacesByImage": faces.search_faces_by_image,
    "CreateUser": once(users.create_user),
    "DeleteUser": once(users.delete_user),
    "ListUsers": users.list_users,
    "AssociateFaces": once(users.associate_faces),
    "DisassociateFaces": once(users.disassociate_faces),
    "SearchUsers": users.search_users,
    "SearchUsersByImage": users.search_users_by_image,
}
